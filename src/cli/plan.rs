//! `pibake plan [--node N] [PATH]`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::base_flags::Wanted;
use super::description::{Description, image_platform, versions};
use super::exit::Usage;
use super::selector::NodeSelector;
use crate::bake::{self, Preparation};
use crate::base::{self, Spec};
use crate::cluster::{Node, Platform, Software};
use crate::disk::FileDevice;
use crate::error::{Doing, Failure};
use crate::image_path::ImagePath;
use crate::opened::Opened;
use crate::project::Project;
use crate::recipe::Recipe;
use crate::recipe::show;
use crate::ui::{Table, Ui};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    description: Description,
    /// Show what changes on this node's card: its number, or its name
    #[arg(long, value_name = "N")]
    node: Option<NodeSelector>,
    /// Show the text of this file, as the node sees it
    #[arg(requires = "node")]
    path: Option<String>,
}

pub fn run(arguments: &Arguments, config: Option<&Path>, ui: &Ui) -> Result<(), Failure> {
    let project = arguments.description.open(config, ui)?;
    let Some(selector) = &arguments.node else {
        return nodes(&project, ui);
    };
    let node = selector.find(&project.cluster)?;
    let (platform, base) = platform(&project, ui)?;
    let recipe = project.preview(node, &platform)?;
    let before = match base {
        Some(base) => bake::preparations(
            Arc::new(FileDevice::open(&base).doing(|| format!("opening {}", base.display()))?),
            &recipe,
        )?,
        None => Vec::new(),
    };
    match &arguments.path {
        None => changes(&recipe, &before, ui),
        Some(path) => file(&recipe, path, ui),
    }
}

/// What system the nodes will run, and the raw base image, where that is here. A packed image says
/// what it holds once it is unpacked into the cache, which a build needs anyway; nothing is
/// downloaded for a plan.
fn platform(project: &Project, ui: &Ui) -> Result<(Platform, Option<PathBuf>), Failure> {
    let stated = project.cluster.stated_platform();
    let is_here = matches!(Spec::parse(&project.cluster.base.image), Ok(Spec::Path(_)));
    if let Some(platform) = stated.filter(|_| !is_here) {
        return Ok((platform, None));
    }
    let wanted = Wanted::here(project)?.until(&super::signals::cancelled()?);
    if let Some(path) = wanted.file().filter(|path| Opened::open(path).is_ok()) {
        let platform = stated.map_or_else(|| image_platform(path), Ok)?;
        return Ok((platform, Some(path.to_owned())));
    }
    match wanted.obtain(ui, None) {
        Ok(base) => {
            let platform = stated.map_or_else(|| image_platform(base.path()), Ok)?;
            Ok((platform, Some(base.path().to_owned())))
        }
        Err(base::Error::Offline { .. }) => {
            let why =
                "what system it holds is known only when it is here: run pibake fetch, or set base.platform";
            Err(Usage(format!("{} is not in the cache, and {why}", project.cluster.base.image)).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What will run, where that is known without fetching or unpacking anything large.
fn software(project: &Project, ui: &Ui) -> Result<Option<Software>, Failure> {
    let image = &project.cluster.base.image;
    let is_here = image == "sample" || Opened::open(Path::new(image)).is_ok();
    let platform = match project.cluster.stated_platform() {
        Some(platform) => platform,
        // A cache that cannot be used is none of this command's business.
        None if is_here => match platform(project, ui) {
            Ok((platform, _)) => platform,
            Err(error) => {
                tracing::info!("what {image} holds is not known: {error}");
                return Ok(None);
            }
        },
        None => return Ok(None),
    };
    Ok(Some(project.software(&platform)?))
}

fn nodes(project: &Project, ui: &Ui) -> Result<(), Failure> {
    let nodes = &project.cluster.nodes;
    let software = software(project, ui)?;
    let kubernetes = software.as_ref().map(|s| s.kubernetes.to_string());
    let containerd = software.as_ref().map(|s| s.containerd.to_string());
    let role = |node: &Node| if node.is_control_plane() { "control-plane" } else { "worker" };
    let value: Vec<_> = nodes
        .iter()
        .map(|n| {
            json!({ "node": n.name, "role": role(n), "address": n.address.to_string(),
                "base": project.cluster.base.image, "kubernetes": kubernetes, "containerd": containerd })
        })
        .collect();
    ui.result(&value, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS"]);
        for node in nodes {
            table.row([node.name.clone(), role(node).into(), node.address.to_string()]);
        }
        let base = &project.cluster.base.image;
        let versions = software.as_ref().map(|software| versions(base, software));
        let unknown = || format!("base image {base}: what runs on it is known once it is fetched\n");
        table.to_string() + &versions.unwrap_or_else(unknown)
    })?;
    Ok(())
}

fn changes(recipe: &Recipe, before: &[Preparation], ui: &Ui) -> Result<(), Failure> {
    let prepared = before.iter().flat_map(|preparation| {
        let changes = vec![preparation.change.clone()];
        let lines = show::lines(&Recipe { node: recipe.node.clone(), changes });
        lines.into_iter().map(|line| show::Line { what: preparation.to_string(), ..line })
    });
    let lines: Vec<_> = prepared.chain(show::lines(recipe)).collect();
    let value: Vec<_> = lines
        .iter()
        .map(|l| {
            json!({ "partition": l.volume.label(), "path": l.path.as_str(), "what": l.what,
                "mode": l.mode.map(|m| format!("{m:04o}")), "bytes": l.size, "secret": l.secret })
        })
        .collect();
    ui.result(&value, || {
        let mut table = Table::new(["PARTITION", "MODE", "SIZE", "PATH", "WHAT"]);
        for l in &lines {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            table.row([
                l.volume.label().into(),
                or_dash(l.mode.map(|m| format!("{m:04o}"))),
                or_dash(l.size.map(|s| s.to_string())),
                l.path.to_string(),
                if l.secret { format!("{}, secret", l.what) } else { l.what.clone() },
            ]);
        }
        table.to_string()
    })?;
    Ok(())
}

fn file(recipe: &Recipe, path: &str, ui: &Ui) -> Result<(), Failure> {
    let path = ImagePath::new(path).map_err(|e| Usage(e.to_string()))?;
    let found = show::at(recipe, &path);
    if found.is_empty() {
        let text =
            format!("nothing changes at {path} on {}; without a path, plan lists what does", recipe.node);
        return Err(Failure::usage(text));
    }
    let texts: Vec<String> = found.into_iter().map(show::text).collect();
    ui.result(&json!({ "path": path.as_str(), "text": texts.concat() }), || texts.concat())?;
    Ok(())
}
