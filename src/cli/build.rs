//! `pibake build`: one image per node.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::base_flags::BaseFlags;
use super::description::{Description, Founding, versions};
use super::images::{self, Images};
use crate::base::ImageObserver;
use crate::error::{ErrorClass, Failure};
use crate::io::human_bytes;
use crate::sink::{Build, Format, Written};
use crate::ui::{Table, Ui, put_path};
use crate::workflow::{NodeSelector, Prepared, Wanted};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    description: Description,
    /// Build this node alone, by number or name; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<NodeSelector>,
    /// Output folder; created if missing [default: images, beside the description]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Output format: raw, qcow2, zst or xz
    #[arg(long, default_value_t)]
    format: Format,
    /// How many images to write at once
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    founding: Founding,
    #[command(flatten)]
    base_flags: BaseFlags,
}

pub(super) fn run(
    arguments: &Arguments,
    config: Option<&Path>,
    offline: bool,
    ui: &Ui,
) -> Result<(), Failure> {
    let cancel = super::signals::cancelled()?;
    let control = super::signals::control(ui, &cancel);
    let described = arguments.description.open(config, control.clone())?;
    let mut chosen = described.choose(&arguments.node, arguments.founding.new_cluster)?;
    let project = chosen.project();
    let output = arguments.output.clone().unwrap_or_else(|| project.place.images.clone());
    let nodes: Vec<String> = chosen.nodes().iter().map(|node| node.name.to_string()).collect();
    let files = images::file_names(&nodes, arguments.format);
    let identity = project.existing_identity()?;
    let images = Images::check(&output, arguments.output.is_none(), &files, identity.as_ref(), &control)?;
    let wanted = Wanted::new(&project.cluster.base, &arguments.base_flags.request(offline), &control)?;
    chosen.refuse_early()?;
    let is_new_folder = !output.exists();
    let mut build = Build::prepare(&output, arguments.format, nodes, arguments.jobs, &cancel)?;
    let observer = build.observer(wanted.cache_dir()).map(|o| o as &mut dyn ImageObserver);
    let prepared = chosen.prepare(&wanted, observer)?;
    // Before the first secret is in it, and not where nothing comes of the build.
    images.prepare(is_new_folder, &control)?;
    let patch = |node: &str| Ok(prepared.bake(node)?.0);
    let written = build.finish(prepared.base().path(), &patch, ui.progress())?;
    prepared.finish()?;
    images.record(&files, &prepared.project().identity()?, &control)?;
    report(&prepared, &written, ui)
}

fn report(prepared: &Prepared, written: &[Written], ui: &Ui) -> Result<(), Failure> {
    let (base, software, nodes) = (prepared.base(), prepared.software(), prepared.nodes());
    let of = |w: &Written| {
        nodes.iter().find(|n| n.name.as_str() == w.node).ok_or_else(|| {
            Failure::new(ErrorClass::Internal, format!("an image of {} was not asked for", w.node))
        })
    };
    let mut rows = Vec::with_capacity(written.len());
    for image in written {
        rows.push((of(image)?, image));
    }
    let value: Vec<_> = rows
        .iter()
        .map(|(n, w)| {
            let mut value = json!({ "node": n.name, "role": n.role.as_str(), "address": n.address.to_string(),
                "card_bytes": w.card, "file_bytes": w.len, "stored_bytes": w.stored });
            put_path(&mut value, "image", &w.path);
            value
        })
        .collect();
    let value = json!({ "kubernetes": software.kubernetes.to_string(), "containerd": software.containerd.to_string(),
        "pibake": env!("CARGO_PKG_VERSION"), "base": base.name, "base_sha256": base.digest.to_string(), "images": value });
    ui.result(&value, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS", "IMAGE", "SIZE"]);
        for (n, w) in &rows {
            let path = w.path.display().to_string();
            table.row([
                n.name.to_string(),
                n.role.as_str().into(),
                n.address.to_string(),
                path,
                human_bytes(w.card),
            ]);
        }
        let mut text = table.to_string() + &versions(&base.name, software);
        if base.name == "sample" {
            text += "These are made from the built-in sample, which does not boot.\n";
        }
        text
    })?;
    Ok(())
}
