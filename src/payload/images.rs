//! Which images the nodes of a role start their containers from.

use super::error::Result;
use super::request::Request;
use crate::cluster::{Kubernetes, NetworkPlugin, Role};
use crate::registry::Reference;

/// Images that are in one archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The archive's name in the folder of the payload.
    pub(super) archive: &'static str,
    /// Which ones, sorted.
    pub(super) names: Vec<Reference>,
}

impl Group {
    fn new<'a>(archive: &'static str, names: impl Iterator<Item = &'a String>) -> Result<Self> {
        let mut names: Vec<Reference> =
            names.map(|name| name.parse()).collect::<std::result::Result<_, _>>()?;
        names.sort();
        names.dedup();
        Ok(Self { archive, names })
    }
}

/// Those of a role, where kubeadm is of this patch release: what kubeadm and the pod network ask for, and what the
/// user wants besides. What every node needs is a group of its own.
pub(super) fn groups(request: &Request<'_>, role: Role, kubeadm: u16) -> Result<Vec<Group>> {
    let kubernetes = request.cluster.kubeadm_images(request.software, kubeadm);
    let Kubernetes { plugin, flannel, .. } = &request.cluster.kubernetes;
    let network: &[&String] = match plugin {
        NetworkPlugin::Flannel => &[&flannel.image, &flannel.cni_plugin_image],
        // its images are among preload-images, if anywhere
        NetworkPlugin::None => &[],
    };
    let others = network.iter().copied().chain([&request.software.pause_image]);
    let mut any_node = Group::new("images.tar", kubernetes.any_node.iter().chain(others))?;
    any_node.names.extend_from_slice(&request.cluster.image.preload_images);
    any_node.names.sort();
    any_node.names.dedup();
    let mut groups = vec![any_node];
    if role == Role::ControlPlane {
        groups.push(Group::new("images-control-plane.tar", kubernetes.control_plane.iter())?);
    }
    Ok(groups)
}
