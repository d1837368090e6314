//! `pibake plan [--node N] [PATH]`

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::description::{Description, versions};
use crate::bake::Preparation;
use crate::cluster::{Cluster, Node, Software};
use crate::error::Failure;
use crate::image_path::ImagePath;
use crate::recipe::{Recipe, show};
use crate::ui::{Table, Ui};
use crate::workflow::{NodeSelector, Preview};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    description: Description,
    /// Show what changes on this node's card: its number, or its name
    #[arg(long, value_name = "N")]
    node: Option<NodeSelector>,
    /// Show the text of this file, as the node sees it
    #[arg(requires = "node")]
    path: Option<String>,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>, ui: &Ui) -> Result<(), Failure> {
    let control = super::signals::control(ui, &super::signals::cancelled()?);
    let described = arguments.description.open(config, control)?;
    let Some(selector) = &arguments.node else {
        return nodes(&described.project.cluster, described.software()?.as_ref(), ui);
    };
    let node = selector.find(&described.project.cluster)?;
    let Preview { before, recipe } = described.preview(node)?;
    match &arguments.path {
        None => changes(&recipe, &before, ui),
        Some(path) => file(&recipe, path, ui),
    }
}

fn nodes(cluster: &Cluster, software: Option<&Software>, ui: &Ui) -> Result<(), Failure> {
    let (nodes, base) = (&cluster.nodes, cluster.base.image.to_string());
    let kubernetes = software.map(|s| s.kubernetes.to_string());
    let containerd = software.map(|s| s.containerd.to_string());
    let role = |node: &Node| if node.is_control_plane() { "control-plane" } else { "worker" };
    let value: Vec<_> = nodes
        .iter()
        .map(|n| {
            json!({ "node": n.name, "role": role(n), "address": n.address.to_string(),
                "base": base, "kubernetes": kubernetes, "containerd": containerd })
        })
        .collect();
    ui.result(&value, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS"]);
        for node in nodes {
            table.row([node.name.to_string(), role(node).into(), node.address.to_string()]);
        }
        let versions = software.map(|software| versions(&base, software));
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
    let path = ImagePath::new(path).map_err(|e| Failure::usage(e.to_string()))?;
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
