//! `pibake build`: one image per node.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::base_flags::BaseFlags;
use super::description::{Description, check_login, image_platform, versions};
use super::exit::Usage;
use super::founding::Founding;
use super::images::{self, Images};
use super::selector::NodeSelector;
use crate::bake;
use crate::base::{Base, ImageObserver};
use crate::cluster::{Node, Platform, Software};
use crate::error::{ErrorClass, Failure};
use crate::project::Project;
use crate::recipe::Recipe;
use crate::sink::{Build, Format, Written};
use crate::ui::{Table, Ui, human_bytes, put_path};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    description: Description,
    /// Build this node alone, by number or name; may be repeated
    #[arg(long, value_name = "N")]
    node: Vec<NodeSelector>,
    /// Where the images go; made if it is not there [default: images, beside the description]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The form of the images: raw, qcow2, zst or xz
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

pub fn run(arguments: &Arguments, config: Option<&Path>, offline: bool, ui: &Ui) -> Result<(), Failure> {
    let cancel = super::signals::cancelled()?;
    let project = arguments.description.open(config, ui)?.waiting(ui.waiting(&cancel));
    let project = anew(project, &arguments.node, ui)?;
    let nodes = chosen(&project, &arguments.node)?;
    let new = arguments.founding.check(&project, &nodes)?;
    let output = arguments.output.as_deref().unwrap_or(&project.place.images);
    let files = images::file_names(nodes.iter().map(|node| node.name.as_str()), arguments.format);
    let identity = project.existing_identity()?;
    let images = Images::check(output, arguments.output.is_none(), &files, identity.as_ref(), ui)?;
    let wanted = arguments.base_flags.wanted(&project, offline)?;
    // what cannot be built is refused before anything is downloaded
    if let Some(platform) = project.cluster.stated_platform() {
        project.recipes(&platform)?;
        new.tell(&project, ui);
    }
    let is_new_folder = !output.exists();
    let names = nodes.iter().map(|n| n.name.clone()).collect();
    let mut build = Build::prepare(output, arguments.format, names, arguments.jobs, Arc::clone(&cancel))?;
    let wanted = wanted.until(&cancel);
    let observer = build.observer(wanted.cache_dir()).map(|o| o as &mut dyn ImageObserver);
    let base = wanted.obtain(ui, observer)?;

    let platform = platform(&project, &base)?;
    let recipes = project.recipes(&platform)?;
    check_use(&base, &recipes, ui)?;
    // Before the first secret is in it, and not where nothing comes of the build.
    images.prepare(is_new_folder, ui)?;
    if project.cluster.stated_platform().is_none() {
        new.tell(&project, ui);
    }
    let written = build.finish(
        base.path(),
        &|name| {
            let recipe = recipe_of(&recipes, name)?;
            tracing::info!(name, changes = recipe.changes.len(), "baking");
            Ok(bake::bake(base.device()?, recipe, project.build_time())?)
        },
        ui.progress(),
    )?;
    base.unchanged()?;
    images.record(&files, &project.identity()?)?;
    report(&base, &project.software(&platform)?, &nodes, &written, ui)
}

/// What system the nodes made from `base` run; refuses a base whose accounts are in the login's way.
pub(super) fn platform(project: &Project, base: &Base) -> Result<Platform, Failure> {
    check_login(project, base.path())?;
    match project.cluster.stated_platform() {
        Some(platform) => Ok(platform),
        None => image_platform(base.path()),
    }
}

/// Refuses a base that belongs to a cluster, before anything is written, and says of one that was in
/// use how much is taken away.
pub(super) fn check_use(base: &Base, recipes: &[Recipe], ui: &Ui) -> Result<(), Failure> {
    let Some(recipe) = recipes.first() else { return Ok(()) };
    let before = bake::preparations(base.device()?, recipe)?;
    let used: Vec<_> = before.iter().filter(|preparation| preparation.was_there).collect();
    if let [first, more @ ..] = used.as_slice() {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        ui.progress().note(&format!(
            "warning: the base image was in use before. Not on the cards: {} ({}){more}; pibake plan --node N lists all",
            first.change.path, first.what
        ));
    }
    Ok(())
}

/// The project, as one that begins anew where its control plane's card is asked for by name.
pub(super) fn anew(project: Project, selectors: &[NodeSelector], ui: &Ui) -> Result<Project, Failure> {
    let named = selectors.iter().filter_map(|selector| selector.find(&project.cluster).ok());
    if !named.into_iter().any(Node::is_control_plane) {
        return Ok(project);
    }
    let project = project.begin_anew();
    if let Some(fixed) = project.changed()? {
        ui.progress().note(&format!(
            "warning: {} was {} and is {} now: with this card of the control plane the cluster begins anew, so write \
             all others again, too",
            fixed.key, fixed.made, fixed.now
        ));
    }
    Ok(project)
}

/// The recipe of the node `name`.
pub(super) fn recipe_of<'a>(recipes: &'a [Recipe], name: &str) -> Result<&'a Recipe, Failure> {
    let missing = || Failure::new(ErrorClass::Internal, format!("{name} has no recipe"));
    recipes.iter().find(|recipe| recipe.node == name).ok_or_else(missing)
}

pub(super) fn chosen<'a>(project: &'a Project, selectors: &[NodeSelector]) -> Result<Vec<&'a Node>, Usage> {
    if selectors.is_empty() {
        return Ok(project.cluster.nodes.iter().collect());
    }
    let mut nodes: Vec<&Node> =
        selectors.iter().map(|s| s.find(&project.cluster)).collect::<Result<_, _>>()?;
    nodes.sort_by_key(|n| n.number);
    nodes.dedup_by_key(|n| n.number);
    Ok(nodes)
}

fn report(
    base: &Base,
    software: &Software,
    nodes: &[&Node],
    written: &[Written],
    ui: &Ui,
) -> Result<(), Failure> {
    let of = |w: &Written| {
        nodes.iter().find(|n| n.name == w.node).ok_or_else(|| {
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
                n.name.clone(),
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
