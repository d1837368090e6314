//! From what is asked for to the files, all of which are in the cache then.

use std::collections::BTreeMap;

use super::apt_files::AptFiles;
use super::error::Result;
use super::part::{Content, Part, Payload, PayloadFile, place};
use super::request::Request;
use super::{images, packages};
use crate::base::Fetcher;
use crate::cluster::{Node, Role};
use crate::oci::{self, Archive};
use crate::recipe::Recipe;

/// Fetches what the nodes need.
///
/// # Errors
/// [`Error`]; what was downloaded until then is kept in the cache.
pub fn payload(request: &Request<'_>, fetcher: &Fetcher<'_>) -> Result<Payload> {
    let mut nodes: BTreeMap<Role, (&Node, &Recipe)> = BTreeMap::new();
    for (node, recipe) in request.nodes {
        nodes.entry(node.role).or_insert((*node, *recipe));
    }
    let mut packages = packages::Resolver::new(request, fetcher);
    let mut chosen = Vec::new();
    // what cannot be is refused before anything large is downloaded
    for (role, (node, recipe)) in nodes {
        let packages = packages.choose(node, &AptFiles::new(request.base, recipe))?;
        let images = images::names(request, role, packages.kubeadm)?;
        chosen.push((role, packages, images));
    }
    let mut parts = BTreeMap::new();
    for (role, chosen, names) in chosen {
        let mut files = packages.files(&chosen, &names)?;
        let mirrors = &request.cluster.sources.registry_mirrors;
        let images = oci::pull(fetcher, mirrors, request.credentials, &names)?;
        let archive = Content::Archive(Archive::of(&images)?);
        files.push(PayloadFile { path: place(images::ARCHIVE)?, content: archive });
        files.sort_by(|a, b| a.path.cmp(&b.path));
        parts.insert(role, Part { files, plan: chosen.plan, images });
    }
    Ok(Payload { parts })
}
