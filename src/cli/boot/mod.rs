//! `pibake boot IMAGE | --node N`: runs images in QEMU, without touching them.

mod arguments;
mod prepare;
mod terminal;
mod view;

use std::time::Duration;

use super::json::{Booted, CommandLine, CommandLines, Console};
use super::session::Session;
use crate::emulator::machine::Setup;
use crate::emulator::qemu::{self, Qemu};
use crate::emulator::session::{self, Ending, Outcome};
use crate::error::{Doing, Failure};
use crate::ui::human_duration;
pub(super) use arguments::Arguments;
use prepare::{Bench, Source};
use view::View;

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    // before anything is downloaded or written; --print is for machines without QEMU, too
    let qemu = if arguments.print { None } else { Some(Qemu::find(&arguments.qemu)?) };
    let bench = Bench::open(arguments.keep.as_deref(), arguments.net.as_deref(), &session.control)?;
    let prepared = match arguments.images.as_slice() {
        [] => Some(prepare::nodes(arguments, session)?),
        _ => None,
    };
    let sources = match &prepared {
        Some(prepared) => Source::of_nodes(prepared)?,
        None => arguments
            .images
            .iter()
            .map(|path| Source::of_image(path, &bench, session))
            .collect::<Result<_, Failure>>()?,
    };
    check_names(&sources)?;
    let cabling = prepare::cabling(arguments, &sources)?;
    let mut machines: Vec<(String, Setup)> = Vec::with_capacity(sources.len());
    for (index, (source, adapters)) in sources.iter().zip(cabling).enumerate() {
        let setup = bench.set_up(index, source, adapters, arguments, &session.control)?;
        machines.push((source.name.clone(), setup));
    }
    let Some(qemu) = qemu else { return print(arguments, &machines, session) };

    for (source, (_, setup)) in sources.iter().zip(&machines) {
        bench.write(source, setup).doing(|| format!("preparing {}", source.name))?;
    }
    if let Some(prepared) = &prepared {
        prepared.finish()?;
        // what an emulator runs may be tried: it is no other cluster than the one that is known
        prepared.record()?;
    }
    let ports = bench.plug_in(&machines)?;
    let leave = session.control.cancel().child();
    let mut view = View::open(arguments.log.as_deref(), &machines, &leave, session)?;
    let ending = Ending {
        until: arguments.until.clone(),
        timeout: arguments.timeout.map(Duration::from_secs),
        attended: view.is_attended() && arguments.until.is_none(),
    };
    let outcome = session::run(&qemu, &machines, &ending, &mut view, &leave);
    view.close();
    drop(ports);
    report(&machines, &outcome?, session)
}

fn check_names(sources: &[Source]) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    match sources.iter().find(|source| !seen.insert(&source.name)) {
        Some(twice) => Err(Failure::usage(format!(
            "{} is given twice: each machine needs a name of its own",
            twice.name
        ))),
        None => Ok(()),
    }
}

fn print(arguments: &Arguments, machines: &[(String, Setup)], session: &Session) -> Result<(), Failure> {
    let program = &arguments.qemu;
    let line = |(name, setup): &(String, Setup)| {
        let words = std::iter::once(program.clone()).chain(setup.arguments());
        let command = words.map(|word| word.to_string_lossy().into_owned()).collect();
        CommandLine { node: name.clone(), command }
    };
    let document = CommandLines { nodes: machines.iter().map(line).collect() };
    session.result(&document, || {
        machines.iter().map(|(_, setup)| qemu::command_line(program, &setup.arguments()) + "\n").collect()
    })
}

fn report(machines: &[(String, Setup)], outcome: &Outcome, session: &Session) -> Result<(), Failure> {
    let (end, reached) = match outcome {
        Outcome::Reached(reached) => ("reached", reached.as_slice()),
        Outcome::Off => ("off", &[][..]),
        Outcome::Left => ("left", &[][..]),
    };
    let mut nodes = Vec::with_capacity(machines.len());
    for (index, (name, _)) in machines.iter().enumerate() {
        let (line, after) = reached.get(index).cloned().unzip();
        if let Some((line, after)) = line.as_ref().zip(after) {
            session.progress().note(&format!("{name}: after {}: {line}", human_duration(after)));
        }
        nodes.push(Console { node: name.clone(), line, seconds: after.map(|after| after.as_secs_f64()) });
    }
    session.result(&Booted { end: end.to_owned(), nodes }, String::new)
}
