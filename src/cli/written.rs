//! Images of nodes: where they go, how they are written, and what is said of them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use super::description::{NodeFlags, versions};
use super::images::{Entry, Images};
use super::json::{Built, Image, Member};
use super::session::Session;
use crate::base::{ImageObserver, Spec};
use crate::error::{Doing, ErrorClass, Failure};
use crate::io::human_bytes;
use crate::sink::{Build, Format, Written};
use crate::ui::Table;
use crate::workflow::{Chosen, Medium, Prepared, bill_name, put_bill};

/// Where images go, and how; shared by every command that makes some.
#[derive(Debug, Args)]
pub(super) struct To {
    /// Output folder; created if missing [default: images, beside the description]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) output: Option<PathBuf>,
    /// Output format
    #[arg(long, default_value_t, value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)).try_map(|name| name.parse::<Format>()))]
    pub(super) format: Format,
    /// How many images to write at once
    #[arg(long, value_name = "N", value_parser = jobs, help_heading = "Advanced")]
    pub(super) jobs: Option<NonZeroUsize>,
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it must be a whole number, 1 or more".to_owned())
}

/// Writes the images of these nodes.
pub(super) fn write(
    mut chosen: Chosen,
    to: &To,
    flags: &NodeFlags,
    session: &Session,
) -> Result<(Prepared, Vec<Written>), Failure> {
    let control = &session.control;
    let project = chosen.project();
    let output = to.output.clone().unwrap_or_else(|| project.place.images.clone());
    let nodes: Vec<String> = chosen.nodes().iter().map(|node| node.name.to_string()).collect();
    let bill = |node: &str| bill_name(node, Medium::Image);
    let files: Vec<_> = nodes.iter().flat_map(|node| [to.format.file_name(node), bill(node)]).collect();
    let own = project.existing_identity()?.as_ref().map(Entry::of);
    let images = Images::check(&output, to.output.is_none(), &files, own.as_ref(), control)?;
    let wanted = flags.wanted(&chosen, session)?;
    chosen.refuse_early()?;
    let is_new_folder = !output.exists();
    let mut build = Build::prepare(&output, to.format, nodes, to.jobs, control.cancel())?;
    let observer = build.observer(wanted.cache_dir()).map(|o| o as &mut dyn ImageObserver);
    let prepared = chosen.prepare(&wanted, observer)?;
    // Before the first secret is in it, and not where nothing comes of the build.
    images.prepare(is_new_folder, control)?;
    prepared.record()?;
    let bills = prepared.bills()?;
    let made: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::default();
    let patch = |node: &str| {
        let (patch, proof) = prepared.bake(node)?;
        let text = bills.of(node, &proof)?;
        made.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned(), text);
        Ok(patch)
    };
    let kept = |node: &str| {
        let text = made.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
        text.map_or(Ok(()), |text| put(&output, &bill(node), &text).map(drop))
    };
    let written = build.finish_with(prepared.base().path(), &patch, &kept, session.progress())?;
    prepared.finish()?;
    prepared.record_anew(written.iter().map(|image| image.node.as_str()))?;
    images.record(&files, &Entry::of(&prepared.project().identity()?), control)?;
    drop(bills);
    Ok((prepared, written))
}

/// Writes a bill into the folder of images.
pub(super) fn put(dir: &Path, name: &str, text: &[u8]) -> Result<PathBuf, Failure> {
    put_bill(dir, name, text).doing(|| format!("writing the bill {}", dir.join(name).display()))
}

/// Nothing boots that is made from the sample.
pub(super) fn is_sample(prepared: &Prepared) -> bool {
    prepared.project().cluster.base.image == Spec::Sample
}

pub(super) fn report(prepared: &Prepared, written: &[Written], session: &Session) -> Result<(), Failure> {
    let (base, software, nodes) = (prepared.base(), prepared.software(), prepared.nodes());
    let image = |w: &Written| {
        let of = nodes.iter().find(|n| n.name.as_str() == w.node).ok_or_else(|| {
            Failure::new(ErrorClass::Internal, format!("an image of {} was not asked for", w.node))
        })?;
        let Member { role, address, .. } = (*of).into();
        Ok(Image::of(w, role, Some(address)))
    };
    let images = written.iter().map(image).collect::<Result<Vec<_>, Failure>>()?;
    let document = Built { base: base.into(), software: software.into(), images };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS", "IMAGE", "SIZE"]);
        for Image { node, role, address, path, bytes, .. } in &document.images {
            let address = address.clone().unwrap_or_default();
            table.row([node.clone(), role.clone(), address, path.clone(), human_bytes(*bytes)]);
        }
        let mut text = table.to_string() + &versions(&base.name, software);
        if is_sample(prepared) {
            text += "These are made from the built-in sample, which does not boot.\n";
        }
        text
    })
}
