//! What the releases that images are made of differ in.

use super::{Cgroup, ContainerdVersion, KubernetesVersion};

/// What is known of one release of Ubuntu on a Pi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// `20.04`; also what `base.platform` takes.
    pub version: &'static str,
    /// Code name, the suite of package sources.
    pub codename: &'static str,
    /// The hierarchy that systemd mounts when the command line says nothing.
    pub cgroup: Cgroup,
    /// The kernel's major and minor version.
    pub kernel: (u16, u16),
    /// Whether netplan knows `regulatory-domain` (from 0.105); else the country goes on the
    /// kernel's command line.
    pub netplan_regulatory_domain: bool,
    /// Whether some kernel modules (vxlan) are in a package of their own, linux-modules-extra-raspi.
    pub modules_extra: bool,
    /// The newest line of containerd.io that Docker's repository has for it.
    pub containerd: ContainerdVersion,
    /// The newest Kubernetes that works on it as it is.
    pub kubernetes: KubernetesVersion,
}
