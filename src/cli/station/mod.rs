//! `pibake station`: cards one after the other, as they are put in.

mod ask;
mod bench;
mod label;
mod report;
mod slots;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::awake::Awake;
use super::base_flags::NetworkFlags;
use super::fleets::{Station, TrustFlags, nodes};
use super::readers::{Readers, Rules};
use super::session::Session;
use crate::drives::linux::Machine;
use crate::error::Failure;
use crate::fleet::{Claims, FleetName};
use crate::workflow::own;
use bench::Bench;

#[derive(Debug, Args)]
#[command(
    long_about = "Write the cards of a cluster that is in a registry, one after the other.\n\nAfter one answer every card that \
                  is put in becomes the next node, until the batch is done; what is in a reader at that moment stays as it is. \
                  Several readers are served at once. Which node comes next is decided with the other stations, by a list \
                  in the registry: no two make the same one. A card that fails, a reader that is pulled out and a line that \
                  breaks end nothing: the node is the next one again.",
    after_help = "Examples:\n  \
                  pibake station oci://registry.example/home               all nodes that have no card yet\n  \
                  pibake station oci://registry.example/home --batch 10    ask again after ten cards\n  \
                  pibake station oci://registry.example/home --node 3      this node once more, whoever made it"
)]
pub(super) struct Arguments {
    /// Where it is: oci://REGISTRY/NAME[:TAG][#NODE]
    #[arg(value_name = "FLEET")]
    fleet: FleetName,
    /// Make this node's card alone, by number or name, also where it was made before; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<String>,
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
    session.listen()?;
    let station = Station::this(&arguments.trust)?;
    let fetcher = station.fetcher(arguments.network.patience(), session);
    let fleet = station.open(&arguments.fleet, &fetcher)?;
    let key = station.key()?;
    let _busy = station.busy(session)?;
    let claims = Claims::new(&fleet, &key.public());
    let wanted = nodes(&fleet, &arguments.node)?;
    let is_meant = !arguments.node.is_empty() || arguments.fleet.node().is_some();
    let taken = if is_meant { Vec::new() } else { claims.taken()? };
    let is_free = |name: &str| taken.iter().all(|claim| claim.node != name);
    let queue: VecDeque<_> = wanted.into_iter().filter(|node| is_free(&node.name)).collect();
    let mut done = report::Done { taken, ..report::Done::default() };
    if queue.is_empty() {
        return done.report(&fleet, session);
    }
    let all: Vec<_> = queue.iter().copied().collect();
    let mut ready = fleet.prepare(&all, &key)?;
    let base = fleet.base(None)?;
    ready.fetch(&base)?;
    let (machine, own) = (Machine::this(), own(session.config.as_deref()));
    let rules = Rules { yes: false, unmount: arguments.unmount, allow_fixed: arguments.allow_fixed };
    let control = &session.control;
    let readers = Readers { machine: &machine, rules, needed: Some(ready.length()), own: &own, control };
    let _awake = Awake::keep();
    let batch = arguments.batch.map_or(usize::MAX, NonZeroUsize::get);
    let bench = Bench {
        fleet: &fleet,
        claims: &claims,
        ready: &ready,
        base: &base,
        readers: &readers,
        only: &arguments.reader,
        is_meant,
        control,
        is_json: session.is_json(),
    };
    bench.work(queue, batch, &mut done)?;
    done.report(&fleet, session)
}
