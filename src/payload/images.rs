//! Which images the nodes of a role start their containers from.

use super::error::Result;
use super::request::Request;
use crate::cluster::Role;
use crate::registry::Reference;

/// The archive with them, in the folder of the payload.
pub(super) const ARCHIVE: &str = "images.tar";

/// Those of a role, where kubeadm is of this patch release: what kubeadm and the pod network ask for, and what the
/// user wants besides.
pub(super) fn names(request: &Request<'_>, role: Role, kubeadm: u16) -> Result<Vec<Reference>> {
    let kubernetes = request.cluster.kubeadm_images(request.software, kubeadm);
    let flannel = &request.cluster.kubernetes.flannel;
    let others = [&request.software.pause_image, &flannel.image, &flannel.cni_plugin_image];
    let control_plane = kubernetes.control_plane.iter().filter(|_| role == Role::ControlPlane);
    let all = control_plane.chain(&kubernetes.any_node).chain(others);
    let mut names: Vec<Reference> = all.map(|name| name.parse()).collect::<std::result::Result<_, _>>()?;
    names.extend_from_slice(request.images);
    names.sort();
    names.dedup();
    Ok(names)
}
