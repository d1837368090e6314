//! `pibake flash`: nodes straight to cards.

mod arguments;
mod bills;
mod confirm;
mod fleet;
mod image;
mod report;
mod targets;
mod whose;

use std::sync::Arc;

use super::awake::Awake;
use super::fleets::Station;
use super::named::check_there;
use super::next::{self, Reach};
use super::readers::{Readers, Rules};
use super::session::Session;
use crate::disk::ReadAt;
use crate::drives::linux::{Machine, Off};
use crate::error::{Classified, Doing, Failure, one_line};
use crate::sink::card::{Content, Flash, Options, Outcome};
use crate::workflow::{Chosen, own};
pub(super) use arguments::Arguments;
use bills::CardBills;
use fleet::Ordered;
use targets::{Choice, Held, Job};

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let control = &session.control;
    targets::check_there(&arguments.devices)?;
    let station = arguments.from.is_some().then(|| Station::this(&arguments.trust())).transpose()?;
    let fetcher = station.as_ref().map(|station| station.fetcher(arguments.flags.patience(), session));
    let from = arguments.from.as_ref().zip(station.as_ref().zip(fetcher.as_ref()));
    let opened = from.map(|(name, (station, fetcher))| station.open(name, fetcher)).transpose()?;
    let job = match (&arguments.image, station.as_ref().zip(opened.as_ref())) {
        (Some(path), _) => {
            check_there(path, session).doing(|| format!("opening the image {}", path.display()))?;
            Job::Image(Box::new(image::open(path, &session.control)?))
        }
        (None, Some((station, fleet))) => {
            Job::Fleet(Box::new(Ordered::prepare(fleet, &station.key()?, arguments)?))
        }
        (None, None) => Job::Nodes(Box::new(chosen(arguments, session)?)),
    };
    let machine = Machine::this();
    let mut own = own(session.config.as_deref());
    if let Some(path) = &arguments.image {
        own.push(crate::drives::Own {
            what: "the image to be written",
            path: std::path::absolute(path).doing(|| format!("examining {}", path.display()))?,
        });
    }
    let rules = Rules { yes: arguments.yes, unmount: arguments.unmount, allow_fixed: arguments.allow_fixed };
    let readers = Readers { machine: &machine, rules, needed: job.needed(), own: &own, control };
    let held = Choice { readers: &readers, arguments, job: &job }.hold()?;
    confirm::all(&held, arguments.yes, &job.needed())?;

    let _awake = Awake::keep();
    // not before: until here Ctrl-C just ends the program, at the question too, and nothing was written
    session.listen()?;
    let options = Options { verify: !arguments.no_verify, full: arguments.full, wipe: arguments.wipe };
    let flash = Flash::new(held.iter().map(Held::target).collect(), options, control.cancel());
    let reach = match &job {
        Job::Nodes(chosen) => Reach::of(chosen.project(), &chosen.nodes()),
        Job::Image(_) | Job::Fleet(_) => None,
    };
    let (mut outcomes, recorded, made) = match job {
        Job::Image(image) => {
            (flash.finish(image.path(), &|_| Ok(image.content()), session.progress()), Ok(()), None)
        }
        Job::Fleet(ordered) => (ordered.write(flash, session)?, Ok(()), None),
        Job::Nodes(chosen) => {
            let made = CardBills::of(&chosen);
            let (outcomes, recorded) = nodes(flash, *chosen, arguments, &made, session)?;
            (outcomes, recorded, Some(made))
        }
    };
    outcomes.sort_by_key(|outcome| held.iter().position(|h| h.name() == outcome.card));
    let off = leave(&machine, held, &outcomes, arguments.no_eject);
    let (bills, lost) = made.map(|made| made.put(&outcomes, control)).unwrap_or_default();
    report::report(&outcomes, &off, &bills, session)?;
    recorded?;
    lost.map_or(Ok(()), Err)?;
    if let Some(reach) = reach {
        next::tell(&reach.after_flash(), session);
    }
    Ok(())
}

/// The nodes that the cards are to become.
fn chosen(arguments: &Arguments, session: &Session) -> Result<Chosen, Failure> {
    let asked = arguments.devices.iter().map(|asked| arguments::selector(asked, arguments).cloned());
    let chosen = arguments.flags.choose(&asked.collect::<Result<Vec<_>, Failure>>()?, session)?;
    chosen.warn_of_loss()?;
    Ok(chosen)
}

/// What became of the cards, and of writing down what the cluster is made with now.
fn nodes(
    mut flash: Flash,
    chosen: Chosen,
    arguments: &Arguments,
    made: &CardBills,
    session: &Session,
) -> Result<(Vec<Outcome>, Result<(), Failure>), Failure> {
    let control = &session.control;
    let wanted = arguments.flags.wanted(&chosen, session);
    let prepared = wanted.and_then(|wanted| {
        let prepared = chosen.prepare(&wanted, Some(flash.observer()))?;
        prepared.record()?;
        Ok(prepared)
    });
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(fault) => return Ok((report::give_up(flash, fault, control)?, Ok(()))),
    };
    // of the base, which is whole only now; what is wrong with it is wrong with each card
    let bills = prepared.bills();
    let contents = |name: &str| -> Result<Content, Failure> {
        let (patch, proof) = prepared.bake(name)?;
        match &bills {
            Ok(bills) => made.keep(name, bills.of(name, &proof)?),
            Err(fault) => return Err(Failure::new(fault.class(), one_line(fault))),
        }
        let proof = Box::new(move |card: Arc<dyn ReadAt>| Ok(proof.check(&card)?));
        let base = prepared.base().clone();
        Ok(Content { patch, proof, still: Box::new(move || Ok(base.unchanged()?)) })
    };
    let outcomes = flash.finish(prepared.base().path(), &contents, control.progress());
    let done = outcomes.iter().filter(|outcome| outcome.result.is_ok());
    let recorded = prepared.record_anew(done.map(|outcome| outcome.node.as_str()));
    Ok((outcomes, recorded.map_err(Failure::from)))
}

/// Has the kernel look at the new partitions, and switches the readers off.
fn leave(machine: &Machine, held: Vec<Held>, outcomes: &[Outcome], stay: bool) -> Vec<Option<Off>> {
    let done: Vec<bool> =
        held.iter().map(|h| outcomes.iter().any(|o| o.card == h.name() && o.result.is_ok())).collect();
    for (held, done) in held.iter().zip(&done) {
        // Only root may; udev does the same when the drive is closed.
        if *done && let Err(e) = crate::disk::ioctl::reread_partitions(held.file()) {
            tracing::debug!("{}: re-reading the partition table: {e}", held.name());
        }
    }
    let numbers: Vec<_> = held.iter().map(|h| h.drive.number).collect();
    let failed: Vec<_> = numbers.iter().zip(&done).filter(|(_, done)| !**done).map(|(n, _)| *n).collect();
    drop(held);
    let off = |(number, done): (&crate::drives::DeviceNumber, &bool)| {
        (*done && !stay).then(|| machine.switch_off(*number, &failed))
    };
    numbers.iter().zip(&done).map(off).collect()
}
