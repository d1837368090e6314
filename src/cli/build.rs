//! `pibake build`: one image per node.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use super::description::{NodeFlags, versions};
use super::images::Images;
use super::json::{self, Built, Image, Member};
use super::next::{self, Reach};
use super::session::Session;
use crate::base::{ImageObserver, Spec};
use crate::error::{ErrorClass, Failure};
use crate::io::human_bytes;
use crate::sink::{Build, Format, Written};
use crate::ui::Table;
use crate::workflow::{NodeSelector, Prepared};

#[derive(Debug, Args)]
#[command(
    long_about = "Write one image per node.\n\nThe base image is downloaded, verified and cached; each node's image is \
                  that and what its node needs, read back by an independent reader. An image is there under its name \
                  only when it is whole.",
    after_help = "Examples:\n  \
                  pibake build                                  all nodes, into images/\n  \
                  pibake build --node 2 --format zst -o out     one node, compressed\n  \
                  pibake build --base sample --nodes 2          a trial without a download"
)]
pub(super) struct Arguments {
    /// Build this node alone, by number or name; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<NodeSelector>,
    /// Output folder; created if missing [default: images, beside the description]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    output: Option<PathBuf>,
    /// Output format
    #[arg(long, default_value_t, value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)).try_map(|name| name.parse::<Format>()))]
    format: Format,
    /// How many images to write at once
    #[arg(long, value_name = "N", value_parser = jobs, help_heading = "Advanced")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    flags: NodeFlags,
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it must be a whole number, 1 or more".to_owned())
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let control = &session.control;
    let mut chosen = arguments.flags.choose(&arguments.node, session)?;
    let project = chosen.project();
    let output = arguments.output.clone().unwrap_or_else(|| project.place.images.clone());
    let nodes: Vec<String> = chosen.nodes().iter().map(|node| node.name.to_string()).collect();
    let files: Vec<_> = nodes.iter().map(|node| arguments.format.file_name(node)).collect();
    let identity = project.existing_identity()?;
    let images = Images::check(&output, arguments.output.is_none(), &files, identity.as_ref(), control)?;
    let wanted = arguments.flags.wanted(&chosen, session)?;
    chosen.refuse_early()?;
    let is_new_folder = !output.exists();
    let mut build = Build::prepare(&output, arguments.format, nodes, arguments.jobs, control.cancel())?;
    let observer = build.observer(wanted.cache_dir()).map(|o| o as &mut dyn ImageObserver);
    let prepared = chosen.prepare(&wanted, observer)?;
    // Before the first secret is in it, and not where nothing comes of the build.
    images.prepare(is_new_folder, control)?;
    let patch = |node: &str| Ok(prepared.bake(node)?.0);
    let written = build.finish(prepared.base().path(), &patch, session.progress())?;
    prepared.finish()?;
    images.record(&files, &prepared.project().identity()?, control)?;
    report(&prepared, &written, session)?;
    let reach = Reach::of(prepared.project(), &prepared.nodes());
    if let (Some(reach), Some(first)) = (reach, written.first().filter(|_| !is_sample(&prepared))) {
        next::tell(&reach.after_build(&first.path, arguments.format), session);
    }
    Ok(())
}

/// Nothing boots that is made from the sample.
fn is_sample(prepared: &Prepared) -> bool {
    prepared.project().cluster.base.image == Spec::Sample
}

fn report(prepared: &Prepared, written: &[Written], session: &Session) -> Result<(), Failure> {
    let (base, software, nodes) = (prepared.base(), prepared.software(), prepared.nodes());
    let image = |w: &Written| {
        let of = nodes.iter().find(|n| n.name.as_str() == w.node).ok_or_else(|| {
            Failure::new(ErrorClass::Internal, format!("an image of {} was not asked for", w.node))
        })?;
        let (path, path_base64) = json::text(&w.path);
        let Member { node, role, address } = (*of).into();
        let (bytes, file_bytes, disk_bytes) = (w.card, w.len, w.stored);
        Ok(Image { node, role, address, path, path_base64, bytes, file_bytes, disk_bytes })
    };
    let images = written.iter().map(image).collect::<Result<Vec<_>, Failure>>()?;
    let document = Built { base: base.into(), software: software.into(), images };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS", "IMAGE", "SIZE"]);
        for Image { node, role, address, path, bytes, .. } in &document.images {
            table.row([node.clone(), role.clone(), address.clone(), path.clone(), human_bytes(*bytes)]);
        }
        let mut text = table.to_string() + &versions(&base.name, software);
        if is_sample(prepared) {
            text += "These are made from the built-in sample, which does not boot.\n";
        }
        text
    })
}
