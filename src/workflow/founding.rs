//! When cards begin a new cluster.

use super::Error;
use crate::catalog::Spec;
use crate::cluster::Node;
use crate::project::Project;

/// Whether with cards of `nodes` a new cluster begins, and that this is meant: a worker's card of one cluster can
/// never join another, and that the secrets are not here mostly means another folder. `new_cluster`: it was
/// asked for.
pub(super) fn begins(project: &Project, nodes: &[&Node], new_cluster: bool) -> Result<bool, Error> {
    let state = || project.store().dir().to_owned();
    if !project.is_new()? {
        return if new_cluster { Err(Error::ClusterExists { state: state() }) } else { Ok(false) };
    }
    // A card of the sample never boots: none is lost, unless nodes are being counted up.
    let is_trial = project.cluster.base.image == Spec::Sample && !project.is_resized;
    if !new_cluster && !is_trial && !nodes.iter().any(|node| node.is_control_plane()) {
        let names = nodes.iter().map(|node| node.name.to_string()).collect();
        return Err(Error::NoCluster { state: state(), names });
    }
    project.check_folder()?;
    Ok(true)
}
