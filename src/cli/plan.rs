//! `pibake plan [--node N] [PATH]`

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::description::Description;
use super::exit::Usage;
use super::selector::NodeSelector;
use crate::cluster::Node;
use crate::image_path::ImagePath;
use crate::recipe::show;
use crate::recipe::{Recipe, preview};
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

pub fn run(arguments: &Arguments, config: Option<&std::path::Path>, ui: &Ui) -> anyhow::Result<()> {
    let project = arguments.description.open(config)?;
    let Some(selector) = &arguments.node else {
        return nodes(&project.cluster.nodes, ui);
    };
    let node = selector.find(&project.cluster)?;
    let platform = arguments.description.platform(&project.cluster)?;
    let extras = super::description::extras(&project.cluster)?;
    let identity = project.existing_identity()?;
    let recipe = preview(&project.cluster, identity.as_ref(), node, &platform, &extras)?;
    match &arguments.path {
        None => changes(&recipe, ui),
        Some(path) => file(&recipe, path, ui),
    }
}

fn nodes(nodes: &[Node], ui: &Ui) -> anyhow::Result<()> {
    let role = |node: &Node| if node.is_control_plane() { "control-plane" } else { "worker" };
    let value: Vec<_> = nodes
        .iter()
        .map(|n| json!({ "node": n.name, "role": role(n), "address": n.address.to_string() }))
        .collect();
    ui.result(&value, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS"]);
        for node in nodes {
            table.row([node.name.clone(), role(node).into(), node.address.to_string()]);
        }
        table.to_string()
    })?;
    Ok(())
}

fn changes(recipe: &Recipe, ui: &Ui) -> anyhow::Result<()> {
    let lines = show::lines(recipe);
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

fn file(recipe: &Recipe, path: &str, ui: &Ui) -> anyhow::Result<()> {
    let path = ImagePath::new(path).map_err(|e| Usage(e.to_string()))?;
    let found = show::at(recipe, &path);
    if found.is_empty() {
        bail!("nothing changes at {path} on {}; without a path, plan lists what does", recipe.node);
    }
    let texts: Vec<String> = found.into_iter().map(show::text).collect();
    ui.result(&json!({ "path": path.as_str(), "text": texts.concat() }), || texts.concat())?;
    Ok(())
}
