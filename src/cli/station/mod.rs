//! `pibake station`: cards one after the other, as they are put in.

mod ask;
mod bench;
mod label;
mod make;
mod nodes;
mod report;
mod slots;
mod tell;
mod whose;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::awake::Awake;
use super::base_flags::NetworkFlags;
use super::fleets::{Station, TrustFlags, nodes as named};
use super::readers::{self, Readers, Rules};
use super::session::Session;
use crate::base::{Fetcher, Patience};
use crate::boards::BootFrom;
use crate::drives::linux::Machine;
use crate::error::Failure;
use crate::fleet::{self, Claim, Claims, FleetName, Keys, Untold};
use crate::io::CancelToken;
use crate::workflow::own;
use bench::Bench;
use make::{Maker, now};
use nodes::Nodes;
use report::Done;

/// What is done with claims takes no longer where the line is good, and whoever waits for a bad one waits at a station.
const CLAIMING: Duration = Duration::from_secs(10);

/// Beside this machine's key: of which cards a registry is still to be told.
const UNTOLD: &str = "untold";

#[derive(Debug, Args)]
#[command(
    long_about = "Write the cards of a cluster that is in a registry, one after the other.\n\nAfter one answer every card that \
                  is put in becomes the next node, until the batch is done; what is in a reader at that moment stays as it is. \
                  Several readers are served at once. Which node comes next is decided with the other stations, by a list \
                  in the registry: no two make the same one, and a card that was made is not made again after another push. A card \
                  that fails, a reader that is pulled out and a line that breaks end nothing: the node is the next one \
                  again.",
    after_help = "Examples:\n  \
                  pibake station oci://registry.example/home               all nodes that have no card yet\n  \
                  pibake station oci://registry.example/home --batch 10    ask again after ten cards\n  \
                  pibake station oci://registry.example/home --again       after a push, all nodes once more\n  \
                  pibake station oci://registry.example/home --node 3      this node once more, whoever made it"
)]
pub(super) struct Arguments {
    /// Where it is: oci://REGISTRY/NAME[:TAG][#NODE]
    #[arg(value_name = "FLEET")]
    fleet: FleetName,
    /// Make this node's card alone, by number or name, also where it was made before; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<String>,
    /// Also make nodes whose cards were made before this push of the cluster
    #[arg(long, conflicts_with = "node")]
    again: bool,
    /// Ask again after so many cards [default: when all are made]
    #[arg(long, value_name = "COUNT")]
    batch: Option<NonZeroUsize>,
    /// Write cards in this reader alone; may be repeated [default: all readers]
    #[arg(long, value_name = "DEVICE", value_hint = ValueHint::FilePath)]
    reader: Vec<PathBuf>,
    /// Unmount what a desktop mounted from the cards under /media or /run/media
    #[arg(long)]
    unmount: bool,
    /// Also write to a --reader that does not look like one; never to one in use
    #[arg(long, requires = "reader", help_heading = "Advanced")]
    allow_fixed: bool,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    network: NetworkFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    if session.offline {
        return Err(Failure::usage(
            "stations agree with each other by the registry, so they do not go with --offline; pibake flash --from writes what was fetched before",
        ));
    }
    session.listen()?;
    session.listen_for_hangup()?;
    let station = Station::this(&arguments.trust)?;
    let patience = arguments.network.patience();
    let fetcher = station.fetcher(patience, session);
    let fleet = station.open(&arguments.fleet, &fetcher)?;
    let key = station.key()?;
    let _busy = station.busy(session)?;
    let untold = Untold::open(Keys::of_user()?.station_file().with_file_name(UNTOLD))?;
    let is_meant = !arguments.node.is_empty() || arguments.fleet.node().is_some();
    let (time, public) = (now()?, key.public());
    // before anything is fetched or asked: whoever may not write there cannot make cards
    let taken = Claims::with(&fleet, &public, &fetcher, |claims| -> fleet::Result<Vec<Claim>> {
        begin(claims, &untold, &time)?;
        if is_meant { Ok(Vec::new()) } else { claims.taken(&fleet.listing().nodes, arguments.again) }
    })?;
    let wanted = named(&fleet, &arguments.node)?;
    let is_free = |name: &str| taken.iter().all(|claim| claim.node != name);
    let queue: Vec<_> = wanted.into_iter().filter(|node| is_free(&node.name)).collect();
    let mut done = Done { taken, ..Done::default() };
    if queue.is_empty() {
        return done.report(&fleet, session);
    }
    let mut ready = fleet.prepare(&queue, &key)?;
    let base = fleet.base(None)?;
    ready.fetch(&base)?;
    let (machine, own) = (Machine::this(), own(session.config.as_deref()));
    let rules = Rules { yes: false, unmount: arguments.unmount, allow_fixed: arguments.allow_fixed };
    let control = &session.control;
    let readers = Readers { machine: &machine, rules, needed: Some(ready.length()), own: &own, control };
    let _awake = Awake::keep();
    let batch = arguments.batch.map_or(usize::MAX, NonZeroUsize::get);
    let froms = queue.iter().filter_map(|node| BootFrom::named(node.boot_from.as_deref()?));
    let purpose = readers::purpose(froms.max());
    let nodes = Nodes::new(queue.iter().copied());
    // What cannot be done at once is done later, by those who asked. And after the run was cancelled, too, the others are
    // told which nodes are free.
    let patience = Patience { attempts: 1, stall: patience.stall.min(CLAIMING) };
    let claiming = Fetcher { cancel: CancelToken::default(), ..station.fetcher(patience, session) };
    let worked = Claims::with(&fleet, &public, &claiming, |claims| {
        let maker = Maker {
            fleet: &fleet,
            claims,
            ready: &ready,
            base: &base,
            readers: &readers,
            nodes: &nodes,
            purpose,
            untold: &untold,
            is_meant,
            again: arguments.again,
            control,
        };
        let bench = Bench { maker: &maker, only: &arguments.reader, is_json: session.is_json() };
        bench.work(batch, &mut done)
    });
    done.taken.extend(nodes.taken());
    let has_card = |name: &str| done.cards.iter().any(|card| card.done && card.node == name);
    let is_taken = |name: &str| done.taken.iter().any(|claim| claim.node == name);
    let names = queue.iter().map(|node| &node.name);
    done.left = names.filter(|name| !has_card(name) && !is_taken(name)).cloned().collect();
    // whatever ended it, cards were made
    let told = done.report(&fleet, session);
    worked.and(told)
}

/// Tells what an earlier run could not tell any more, and sets free what it left.
fn begin(claims: &Claims<'_>, untold: &Untold, time: &str) -> fleet::Result<()> {
    let place = claims.place();
    for claim in untold.of(&place) {
        claims.put(&claim)?;
        untold.told(&place, &claim.node)?;
    }
    claims.begin(time)
}
