//! What nodes need not fetch because it is preloaded.

use crate::cli::json::{self, Preloaded};
use crate::cluster::Node;
use crate::io::human_bytes;
use crate::ui::Table;
use crate::workflow::Preload;

/// What each node need not fetch; no node is there as long as that is not known.
pub(super) fn document(nodes: &[Node], preload: Option<&Preload>) -> json::Preload {
    let of = |node: &Node| {
        let preload = preload?;
        let part = preload.payload.part(node.role)?;
        Some(Preloaded {
            node: node.name.to_string(),
            packages: part.plan.install.len(),
            package_bytes: part.package_bytes(),
            images: part.images.len(),
            image_bytes: part.image_bytes(),
            needed_bytes: preload.needed(node.role),
        })
    };
    json::Preload { nodes: nodes.iter().filter_map(of).collect() }
}

/// In one line.
pub(super) fn summary(preload: &json::Preload) -> String {
    match preload.nodes.iter().map(|node| node.needed_bytes).max() {
        Some(needed) => {
            format!("packages and container images, below: they need {} of what is free", human_bytes(needed))
        }
        None => "packages and container images: which they are is known once pibake build has fetched them"
            .to_owned(),
    }
}

/// Node by node.
pub(super) fn table(preload: &json::Preload) -> String {
    if preload.nodes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["NODE", "PACKAGES", "", "IMAGES", "", "NEED NOT FETCH"]);
    for Preloaded { node, packages, package_bytes, images, image_bytes, .. } in &preload.nodes {
        table.row([
            node.clone(),
            packages.to_string(),
            human_bytes(*package_bytes),
            images.to_string(),
            human_bytes(*image_bytes),
            human_bytes(package_bytes + image_bytes),
        ]);
    }
    format!("\n{table}")
}
