//! What exactly runs on a platform: the versions that follow from description and platform.

use super::{Cgroup, ContainerdVersion, KubernetesVersion};

/// The versions that run on every node, decided for one cluster on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// Kubernetes.
    pub kubernetes: KubernetesVersion,
    /// containerd; `major` decides the form of its config.toml.
    pub containerd: ContainerdVersion,
    /// The hierarchy of control groups.
    pub cgroup: Cgroup,
    /// The whole reference of the pause image.
    pub pause_image: String,
    /// Arguments that the kernel needs: to be set, in this order.
    pub kernel_arguments: Vec<String>,
    /// Arguments that the kernel must not have: a whole text, or a key with `=`.
    pub unset_kernel_arguments: Vec<String>,
}
