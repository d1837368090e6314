//! `pibake push`: a cluster into a registry.

use std::collections::BTreeMap;

use clap::Args;

use super::description::{NodeFlags, versions};
use super::fleets::fetcher;
use super::json::{self, PushedNode};
use super::session::Session;
use crate::base::{Cache, Ledger};
use crate::error::{Doing, Failure};
use crate::fleet::{Baked, Contents, FleetName, Node, Sender, SigningKey, Versions};
use crate::io::human_bytes;
use crate::ui::Table;

#[derive(Debug, Args)]
#[command(
    long_about = "Put a cluster into a registry of container images, so that other machines can write its cards.\n\nThe base \
                  image and what is preloaded are there once, whatever the number of nodes and clusters; each node adds what \
                  it has alone, encrypted for the machines that are named. All is signed with a key that is made in \
                  .pibake. Logins are those of docker login. docs/fleets.md says who can see and do what.",
    after_help = "Examples:\n  \
                  pibake push oci://registry.example/home --recipient stations.txt\n  \
                  pibake push oci://127.0.0.1:5000/home:blue --preload --recipient stations.txt"
)]
pub(super) struct Arguments {
    /// Where to: oci://REGISTRY/NAME[:TAG]; without a tag it is `latest`
    #[arg(value_name = "FLEET")]
    fleet: FleetName,
    /// Who may make cards of it: a public key that pibake key shows, or a file with one a line; may be repeated
    #[arg(long, value_name = "KEY|FILE", required = true)]
    recipient: Vec<String>,
    #[command(flatten)]
    flags: NodeFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    if arguments.fleet.node().is_some() {
        return Err(Failure::usage("a cluster is pushed as a whole: leave #NODE out"));
    }
    // before anything is baked
    if session.offline {
        return Err(Failure::usage("--offline: nothing can be put into a registry without the network"));
    }
    let recipients = Sender::recipients(&arguments.recipient)?;
    let chosen = arguments.flags.choose(&[], session)?;
    chosen.warn_of_loss()?;
    let wanted = arguments.flags.wanted(&chosen, session)?;
    let prepared = chosen.prepare(&wanted, None)?;
    let project = prepared.project();
    let store = project.store();
    let key = store.fleet_key(SigningKey::make)?;
    let file = || format!("reading {}", store.dir().join("fleet_key").display());
    let key = key.reveal().parse::<SigningKey>().doing(file)?;
    let identity = project.identity()?;
    let software = prepared.software();
    let bills = prepared.bills()?;
    let nodes = prepared.nodes();
    let contents = Contents {
        cluster: &identity.cluster,
        fleet: &identity.ca_hash,
        base: prepared.base(),
        payloads: prepared
            .shared()
            .map(|(role, patch)| (role.to_string(), patch.clone()))
            .collect::<BTreeMap<_, _>>(),
        nodes: nodes
            .iter()
            .map(|node| Node {
                name: node.name.to_string(),
                number: node.number,
                role: node.role.to_string(),
                board: node.board.map_or_else(|| "raspberry-pi".to_owned(), |board| board.to_string()),
                boot_from: node.boot_from.map(|from| from.to_string()),
                versions: Versions {
                    kubernetes: software.kubernetes.to_string(),
                    containerd: software.containerd.to_string(),
                },
            })
            .collect(),
    };
    let bake = |name: &str| -> Result<Baked, Failure> {
        let (patch, proof) = prepared.bake(name)?;
        Ok(Baked { patch, bill: bills.of(name, &proof)? })
    };
    let name = arguments.fleet.to_string();
    let note = |number| -> Result<(), Failure> { Ok(store.note_fleet_number(&name, number)?) };
    let last = store.fleet_number(&name)?;
    let sender = Sender { key: &key, recipients: &recipients, last, note: &note };
    // a folder of pibake vendor is what nodes are made from, and no more: the registry is asked by the network
    let (cache, ledger) = (Cache::open(&Cache::default_dir()?)?, Ledger::default());
    let fetcher = fetcher(&cache, &ledger, arguments.flags.patience(), session);
    prepared.record()?;
    let pushed = sender.push(&arguments.fleet, &contents, &bake, &fetcher);
    let pushed = pushed.doing(|| format!("pushing to {}", arguments.fleet))?;
    prepared.finish()?;
    prepared.record_anew(nodes.iter().map(|node| node.name.as_str()))?;
    let document = json::Pushed {
        fleet: name.clone(),
        serial: pushed.serial,
        sha256: pushed.index.to_string(),
        key: pushed.key.to_string(),
        sent_bytes: pushed.sent,
        nodes: pushed
            .nodes
            .iter()
            .map(|(node, bytes)| PushedNode { node: node.clone(), bytes: *bytes })
            .collect(),
    };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "OF ITS OWN"]);
        for (node, (name, bytes)) in nodes.iter().zip(&pushed.nodes) {
            table.row([name.clone(), node.role.to_string(), human_bytes(*bytes)]);
        }
        format!(
            "{table}{}{} has number {} now; {} were sent\nsigned by {}\nwho makes cards of it trusts that once: pibake key --trust {}\n",
            versions(&prepared.base().name, software),
            document.fleet,
            document.serial,
            human_bytes(document.sent_bytes),
            pushed.key.id(),
            document.key,
        )
    })
}
