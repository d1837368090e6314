//! Which nodes get a file, and with which access. `overlays/manifest.toml` says it for each of
//! pibake's own.

use super::Access;
use super::inputs::Inputs;
use crate::cluster::{ContainerdSource, NetworkPlugin};

/// What the manifest says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FilePolicy {
    pub(super) when: When,
    /// Owner and mode on the root file system.
    pub(super) access: Access,
    /// It may hold a secret, and so may a file that takes its place.
    pub(super) secret: bool,
    /// systemd starts the unit at boot.
    pub(super) enable: bool,
}

/// Which of the nodes whose role gets a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// All.
    Always,
    /// All, where node-1 does NAT and DHCP for the others.
    Gateway,
    /// All, where there is a proxy.
    Proxy,
    /// All, where the login has a password.
    Password,
    /// All, where time servers are named.
    Ntp,
    /// All, where containerd comes from Docker's repository.
    Docker,
    /// All, where containerd does not put what it pulls onto the disk by itself.
    UnsyncedPulls,
    /// All, where containerd reads the folder certs.d.
    CertsFolder,
    /// All, where flannel makes the pod network.
    Flannel,
    /// All, where the cluster has IPv6 beside IPv4.
    DualStack,
}

impl When {
    /// Whether the node gets it.
    pub(super) fn holds(self, from: &Inputs<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Gateway => from.cluster.network.gateway().is_some(),
            Self::Proxy => from.cluster.sources.proxy.is_some(),
            Self::Password => from.secrets.password_hash.is_some(),
            Self::Ntp => !from.cluster.sources.ntp.is_empty(),
            Self::Docker => from.software.containerd_from == ContainerdSource::Docker,
            Self::UnsyncedPulls => !from.software.containerd.syncs_pulls(),
            Self::Flannel => from.cluster.kubernetes.plugin == NetworkPlugin::Flannel,
            Self::DualStack => from.cluster.network.ipv6.is_some(),
            Self::CertsFolder => from.software.containerd.reads_config_path(),
        }
    }
}
