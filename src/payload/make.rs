//! From what is asked for to the files, all of which are in the cache then.

use std::collections::{BTreeMap, BTreeSet};

use super::apt_files::AptFiles;
use super::error::Result;
use super::part::{Content, Part, Payload, PayloadFile, place};
use super::request::Request;
use super::{images, packages};
use crate::base::Fetcher;
use crate::cluster::{Node, Role};
use crate::oci::{self, Archive, Image};
use crate::recipe::Recipe;
use crate::registry::Reference;

/// Fetches what the nodes need.
///
/// # Errors
/// [`Error`](super::Error); what was downloaded until then is kept in the cache.
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
    // looked up once, whoever gets them
    let names: BTreeSet<Reference> = chosen.iter().flat_map(|(_, _, names)| names.iter().cloned()).collect();
    let names: Vec<Reference> = names.into_iter().collect();
    let mirrors = &request.cluster.sources.registry_mirrors;
    let mut parts = BTreeMap::new();
    let mut files = Vec::new();
    for (_, chosen, names) in &chosen {
        files.push(packages.files(chosen, names)?);
    }
    let all = oci::pull(fetcher, mirrors, request.credentials, &names)?;
    for ((role, chosen, names), mut files) in chosen.into_iter().zip(files) {
        let images: Vec<Image> = all.iter().filter(|image| names.contains(&image.name)).cloned().collect();
        let archive = Content::Archive(Archive::of(&images)?);
        files.push(PayloadFile { path: place(images::ARCHIVE)?, content: archive });
        files.sort_by(|a, b| a.path.cmp(&b.path));
        parts.insert(role, Part { files, plan: chosen.plan, images });
    }
    Ok(Payload { parts })
}
