//! `pibake boot IMAGE | --node N`: runs images in QEMU, without touching them.

mod arguments;
mod prepare;
mod scratch;
mod terminal;
mod view;

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::emulator::machine::Setup;
use crate::emulator::qemu::{self, Qemu};
use crate::emulator::session::{self, Ending, Outcome};
use crate::error::{Doing, Failure};
use crate::ui::{Ui, human_duration};
pub(super) use arguments::Arguments;
use prepare::{Bench, Source};
use view::View;

pub(super) fn run(
    arguments: &Arguments,
    config: Option<&Path>,
    offline: bool,
    ui: &Ui,
) -> Result<(), Failure> {
    let cancel = super::signals::cancelled()?;
    // before anything is downloaded or written; --print is for machines without QEMU, too
    let qemu = if arguments.print { None } else { Some(Qemu::find(&arguments.qemu)?) };
    let bench = Bench::open(arguments.keep.as_deref(), arguments.net.as_deref(), &cancel, ui)?;
    let prepared = match arguments.images.as_slice() {
        [] => Some(prepare::nodes(arguments, config, offline, &super::signals::control(ui, &cancel))?),
        _ => None,
    };
    let sources = match &prepared {
        Some(prepared) => Source::of_nodes(prepared)?,
        None => arguments.images.iter().map(|path| Source::of_image(path)).collect::<Result<_, Failure>>()?,
    };
    check_names(&sources)?;
    let cabling = prepare::cabling(arguments, &sources)?;
    let mut machines: Vec<(String, Setup)> = Vec::with_capacity(sources.len());
    for (index, (source, adapters)) in sources.iter().zip(cabling).enumerate() {
        let setup = bench.set_up(index, source, adapters, arguments)?;
        machines.push((source.name.clone(), setup));
    }
    let Some(qemu) = qemu else { return print(arguments, &machines, ui) };

    for (source, (_, setup)) in sources.iter().zip(&machines) {
        bench.write(source, setup).doing(|| format!("preparing {}", source.name))?;
    }
    if let Some(prepared) = &prepared {
        prepared.finish()?;
    }
    let ports = bench.plug_in(&machines)?;
    let leave = cancel.child();
    let mut view = View::open(arguments.log.as_deref(), &machines, &leave, ui)?;
    let ending = Ending {
        until: arguments.until.clone(),
        timeout: arguments.timeout.map(Duration::from_secs),
        attended: view.is_attended() && arguments.until.is_none(),
    };
    let outcome = session::run(&qemu, &machines, &ending, &mut view, &leave);
    view.close();
    drop(ports);
    report(&machines, &outcome?, ui)
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

fn print(arguments: &Arguments, machines: &[(String, Setup)], ui: &Ui) -> Result<(), Failure> {
    let program = &arguments.qemu;
    let value: Vec<_> = machines
        .iter()
        .map(|(name, setup)| {
            let words = std::iter::once(program.clone()).chain(setup.arguments());
            let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
            json!({ "node": name, "command": words })
        })
        .collect();
    ui.result(&value, || {
        machines.iter().map(|(_, setup)| qemu::command_line(program, &setup.arguments()) + "\n").collect()
    })?;
    Ok(())
}

fn report(machines: &[(String, Setup)], outcome: &Outcome, ui: &Ui) -> Result<(), Failure> {
    if let Outcome::Reached(reached) = outcome {
        for ((name, _), (line, after)) in machines.iter().zip(reached) {
            ui.progress().note(&format!("{name}: after {}: {line}", human_duration(*after)));
        }
    }
    if ui.json() {
        let reached = |index: usize| match outcome {
            Outcome::Reached(reached) => reached.get(index),
            Outcome::Off | Outcome::Left => None,
        };
        let end = match outcome {
            Outcome::Reached(_) => "reached",
            Outcome::Off => "off",
            Outcome::Left => "left",
        };
        let nodes: Vec<_> = machines
            .iter()
            .enumerate()
            .map(|(index, (name, _))| {
                let (line, after) = reached(index).map(|(l, t)| (l, t.as_secs_f64())).unzip();
                json!({ "node": name, "line": line, "seconds": after })
            })
            .collect();
        ui.result(&json!({ "end": end, "nodes": nodes }), String::new)?;
    }
    Ok(())
}
