//! From what is asked for to the files, all of which are in the cache then.

use std::collections::{BTreeMap, BTreeSet};

use super::apt_files::AptFiles;
use super::error::Result;
use super::images::{self, Group};
use super::packages::{self, Chosen};
use super::part::{Content, Part, Payload, PayloadFile, place};
use super::request::Request;
use crate::base::Fetcher;
use crate::cluster::{Node, Role};
use crate::oci::{self, Archive, Image};
use crate::recipe::Recipe;
use crate::registry::Reference;

/// What the nodes of a role get.
struct Choice {
    role: Role,
    packages: Chosen,
    images: Vec<Group>,
}

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
    // what cannot be is refused before anything large is downloaded
    let mut all = Vec::new();
    for (role, (node, recipe)) in nodes {
        let packages = packages.choose(node, &AptFiles::new(request.base, recipe))?;
        let images = images::groups(request, role, packages.kubeadm)?;
        all.push(Choice { role, packages, images });
    }
    let mut files = BTreeMap::new();
    for Choice { role, packages: chosen, images } in &all {
        let names: Vec<&Reference> = images.iter().flat_map(|group| &group.names).collect();
        let everywhere: Vec<&Chosen> = all.iter().map(|choice| &choice.packages).collect();
        files.insert(*role, packages.files(chosen, &everywhere, &names)?);
    }
    // looked up once, whoever gets them
    let names =
        all.iter().flat_map(|choice| choice.images.iter().flat_map(|group| group.names.iter().cloned()));
    let names: Vec<Reference> = names.collect::<BTreeSet<_>>().into_iter().collect();
    let mirrors = &request.cluster.sources.registry_mirrors;
    let found = oci::pull(fetcher, mirrors, request.credentials, &names)?;

    let mut parts = BTreeMap::new();
    for Choice { role, packages, images: groups } in &all {
        let mut files = files.remove(role).unwrap_or_default();
        let mut images = Vec::new();
        for group in groups {
            let of_group: Vec<Image> =
                found.iter().filter(|image| group.names.contains(&image.name)).cloned().collect();
            files.push(PayloadFile {
                path: place(group.archive)?,
                what: format!("{} container images", of_group.len()),
                is_common: all.iter().all(|choice| choice.images.contains(group)),
                content: Content::Archive(Archive::of(&of_group)?),
            });
            images.extend(of_group);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        parts.insert(*role, Part { files, plan: packages.plan.clone(), images });
    }
    let packages = all.iter().flat_map(|choice| &choice.packages.plan.install);
    let packages = packages.map(|package| (package.package.clone(), package.clone())).collect();
    Ok(Payload { parts, packages })
}
