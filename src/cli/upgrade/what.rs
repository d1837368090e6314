//! What is upgraded, and to what.

use crate::cluster::{ContainerdVersion, KubernetesVersion};

/// What is upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Kubernetes(KubernetesVersion),
    Containerd(ContainerdVersion),
    System { restart: bool },
}

impl What {
    /// As orders and documents call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::Containerd(_) => "containerd",
            Self::System { .. } => "system",
        }
    }

    /// The version that is asked for.
    pub(super) fn version(self) -> Option<String> {
        match self {
            Self::Kubernetes(version) => Some(version.to_string()),
            Self::Containerd(version) => Some(version.to_string()),
            Self::System { .. } => None,
        }
    }

    /// What to type to go on with it.
    pub(super) fn command(self) -> String {
        match self {
            Self::Kubernetes(version) => format!("pibake upgrade --kubernetes {version}"),
            Self::Containerd(version) => format!("pibake upgrade --containerd {version}"),
            Self::System { restart: false } => "pibake upgrade --system".to_owned(),
            Self::System { restart: true } => "pibake upgrade --system --restart".to_owned(),
        }
    }
}
