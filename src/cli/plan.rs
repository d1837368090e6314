//! `pibake plan [--node N] [PATH]`

use clap::Args;

use super::description::{Description, versions};
use super::json::{Base, Member, Plan, PlannedChange, PlannedChanges, PlannedFile, PlannedImage, Versions};
use super::session::Session;
use crate::bake::{Preparation, Room};
use crate::cluster::{Cluster, ImageSize, Software};
use crate::error::Failure;
use crate::image_path::ImagePath;
use crate::io::human_bytes;
use crate::recipe::{Recipe, show};
use crate::ui::Table;
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

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let described = arguments.description.open(session)?;
    let Some(selector) = &arguments.node else {
        let room = described.room()?;
        return nodes(&described.project.cluster, described.software()?.as_ref(), room, session);
    };
    let node = selector.find(&described.project.cluster)?;
    let Preview { before, recipe } = described.preview(node)?;
    match &arguments.path {
        None => changes(&recipe, &before, session),
        Some(path) => file(&recipe, path, session),
    }
}

fn nodes(
    cluster: &Cluster,
    software: Option<&Software>,
    room: Option<Room>,
    session: &Session,
) -> Result<(), Failure> {
    let base = Base {
        name: cluster.base.image.to_string(),
        sha256: cluster.base.sha256.map(|digest| digest.to_string()),
    };
    let nodes = cluster.nodes.iter().map(Member::from).collect();
    let image = PlannedImage {
        bytes: room.map(|room| room.image).or(cluster.image.size.map(ImageSize::bytes)),
        free_bytes: room.map(|room| room.free),
    };
    let document = Plan { base, image, software: software.map(Versions::from), nodes };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS"]);
        for Member { node, role, address } in document.nodes.iter().cloned() {
            table.row([node, role, address]);
        }
        let base = &document.base.name;
        let versions = software.map(|software| versions(base, software));
        let unknown = || format!("base image {base}: what runs on it is known once it is fetched\n");
        table.to_string() + &versions.unwrap_or_else(unknown) + &image_line(&document.image)
    })
}

/// How large the images become; nothing where that is not known.
fn image_line(image: &PlannedImage) -> String {
    let Some(bytes) = image.bytes.map(human_bytes) else { return String::new() };
    let free = image.free_bytes.map(human_bytes);
    let free = free.map_or(String::new(), |free| format!(", {free} of the root file system are free"));
    format!("images of {bytes}{free}\n")
}

fn changes(recipe: &Recipe, before: &[Preparation], session: &Session) -> Result<(), Failure> {
    let prepared = before
        .iter()
        .map(|preparation| show::Line { what: preparation.to_string(), ..show::line(&preparation.change) });
    let change = |line: show::Line| PlannedChange {
        partition: line.volume.label().to_owned(),
        path: line.path.to_string(),
        what: line.what,
        mode: line.mode.map(|mode| format!("{mode:04o}")),
        bytes: line.size,
        secret: line.secret,
    };
    let changes = prepared.chain(recipe.changes.iter().map(show::line)).map(change).collect();
    let document = PlannedChanges { node: recipe.node.to_string(), changes };
    session.result(&document, || {
        let mut table = Table::new(["PARTITION", "MODE", "SIZE", "PATH", "WHAT"]);
        for change in &document.changes {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            table.row([
                change.partition.clone(),
                or_dash(change.mode.clone()),
                or_dash(change.bytes.map(|bytes| bytes.to_string())),
                change.path.clone(),
                format!("{}{}", change.what, if change.secret { ", secret" } else { "" }),
            ]);
        }
        table.to_string()
    })
}

fn file(recipe: &Recipe, path: &str, session: &Session) -> Result<(), Failure> {
    let path = ImagePath::new(path).map_err(|e| Failure::usage(e.to_string()))?;
    let found = show::at(recipe, &path);
    if found.is_empty() {
        let text =
            format!("nothing changes at {path} on {}; without a path, plan lists what does", recipe.node);
        return Err(Failure::usage(text));
    }
    let text = found.into_iter().map(show::text).collect();
    let document = PlannedFile { node: recipe.node.to_string(), path: path.to_string(), text };
    session.result(&document, || document.text.clone())
}
