//! `pibake plan [--node N] [PATH]`

use clap::Args;

use super::description::{CardFlags, versions};
use super::json::{self, Base, Member, Plan, PlannedChange, PlannedChanges, PlannedFile, Versions};
use super::session::Session;
use crate::bake::{Preparation, SHARED_MODE};
use crate::cluster::{Cluster, Node, Software};
use crate::error::Failure;
use crate::image_path::ImagePath;
use crate::io::human_bytes;
use crate::payload::PayloadFile;
use crate::recipe::{Recipe, Volume, show};
use crate::ui::Table;
use crate::workflow::{NodeSelector, Preload, Preview};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: CardFlags,
    /// Show what changes on this node's card: its number, or its name
    #[arg(long, value_name = "N")]
    node: Option<NodeSelector>,
    /// Show the text of this file, as the node sees it
    #[arg(requires = "node")]
    path: Option<String>,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let described = arguments.flags.open(session)?;
    let preload = described.preload()?;
    let cluster = &described.project.cluster;
    let Some(selector) = &arguments.node else {
        return nodes(cluster, described.software()?.as_ref(), preload.as_ref(), session);
    };
    let node = selector.find(cluster)?;
    let Preview { before, recipe } = described.preview(node)?;
    let part = preload.as_ref().and_then(|preload| preload.payload.part(node.role));
    let files = part.map_or(&[][..], |part| part.files.as_slice());
    match &arguments.path {
        None => changes(&recipe, &before, files, session),
        Some(path) => file(&recipe, files, path, session),
    }
}

fn nodes(
    cluster: &Cluster,
    software: Option<&Software>,
    preload: Option<&Preload>,
    session: &Session,
) -> Result<(), Failure> {
    let base = Base {
        name: cluster.base.image.to_string(),
        sha256: cluster.base.sha256.map(|digest| digest.to_string()),
    };
    let nodes = cluster.nodes.iter().map(Member::from).collect();
    let preload = cluster.image.preload.then(|| json::Preload {
        free_bytes: preload.map(|preload| preload.free),
        nodes: preload.map_or_else(Vec::new, |preload| preloaded(&cluster.nodes, preload)),
    });
    let document = Plan { base, software: software.map(Versions::from), nodes, preload };
    session.result(&document, || {
        let mut table = Table::new(["NODE", "ROLE", "ADDRESS"]);
        for Member { node, role, address } in document.nodes.iter().cloned() {
            table.row([node, role, address]);
        }
        let base = &document.base.name;
        let versions = software.map(|software| versions(base, software));
        let unknown = || format!("base image {base}: what runs on it is known once it is fetched\n");
        let preload = document.preload.as_ref().map_or_else(String::new, preload_text);
        table.to_string() + &versions.unwrap_or_else(unknown) + &preload
    })
}

/// What each node need not fetch.
fn preloaded(nodes: &[Node], preload: &Preload) -> Vec<json::Preloaded> {
    let of = |node: &Node| {
        let part = preload.payload.part(node.role)?;
        Some(json::Preloaded {
            node: node.name.to_string(),
            packages: part.plan.install.len(),
            package_bytes: part.package_bytes(),
            images: part.images.len(),
            image_bytes: part.image_bytes(),
            needed_bytes: preload.needed(node.role),
        })
    };
    nodes.iter().filter_map(of).collect()
}

fn preload_text(preload: &json::Preload) -> String {
    let Some(free) = preload.free_bytes else {
        return "preloaded: packages and container images; pibake build fetches them, and which they are is known then\n"
            .to_owned();
    };
    let mut table = Table::new(["NODE", "PACKAGES", "", "IMAGES", "", "NEED NOT FETCH", "NEEDS FREE"]);
    for json::Preloaded { node, packages, package_bytes, images, image_bytes, needed_bytes } in &preload.nodes
    {
        table.row([
            node.clone(),
            packages.to_string(),
            human_bytes(*package_bytes),
            images.to_string(),
            human_bytes(*image_bytes),
            human_bytes(package_bytes + image_bytes),
            human_bytes(*needed_bytes),
        ]);
    }
    let largest = preload.nodes.iter().map(|node| node.needed_bytes).max().unwrap_or_default();
    let lacks = match largest.checked_sub(free) {
        Some(lack @ 1..) => format!(": {} too little", human_bytes(lack)),
        _ => String::new(),
    };
    format!("\n{table}the root file system of the base has {} free{lacks}\n", human_bytes(free))
}

fn changes(
    recipe: &Recipe,
    before: &[Preparation],
    preloaded: &[PayloadFile],
    session: &Session,
) -> Result<(), Failure> {
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
    let is_preloaded = |line: &show::Line| {
        line.volume == Volume::Root && preloaded.iter().any(|file| file.path == line.path)
    };
    let own = recipe.changes.iter().map(show::line).filter(|line| !is_preloaded(line));
    let shared = preloaded.iter().map(|file| show::Line {
        volume: Volume::Root,
        path: file.path.clone(),
        what: format!("preloaded: {}", file.what),
        mode: Some(SHARED_MODE),
        size: Some(file.size()),
        secret: false,
    });
    let changes = prepared.chain(own).chain(shared).map(change).collect();
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

fn file(recipe: &Recipe, preloaded: &[PayloadFile], path: &str, session: &Session) -> Result<(), Failure> {
    let path = ImagePath::new(path).map_err(|e| Failure::usage(e.to_string()))?;
    if let Some(file) = preloaded.iter().find(|file| file.path == path) {
        let text = file.text().unwrap_or_else(|| format!("({} bytes, {})\n", file.size(), file.what));
        let document = PlannedFile { node: recipe.node.to_string(), path: path.to_string(), text };
        return session.result(&document, || document.text.clone());
    }
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
