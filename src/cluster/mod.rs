//! What is asked: nodes, network, versions, access. Pure data, read from a pibake.toml and
//! validated; a [`Cluster`] that exists is one that can be built.

mod access;
pub mod defaults;
mod kubernetes;
mod network;
mod node;
pub mod platform;
mod secret;
mod software;
mod sources;

use std::path::PathBuf;

pub use access::{Access, Password};
pub use kubernetes::{Cgroup, ContainerdVersion, Flannel, InvalidVersion, Kubernetes, KubernetesVersion};
pub use network::{
    Dhcp, Gateway, Lan, LanAddressing, Mode, Network, Uplink, UplinkAddressing, Wifi, WifiKey,
};
pub use node::{InvalidMac, MacAddress, Node, Role};
pub use platform::Platform;
pub use secret::Secret;
pub use software::Software;
pub use sources::{AptSource, Proxy, Sources};

/// A description of a cluster, complete and consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in kubeconfig files.
    pub name: String,
    /// The DNS domain that node names are completed with.
    pub domain: String,
    /// The machines, by number; exactly one is a control plane.
    pub nodes: Vec<Node>,
    /// The network between them and its way out.
    pub network: Network,
    /// Which Kubernetes, and how.
    pub kubernetes: Kubernetes,
    /// Who may log in.
    pub access: Access,
    /// Where nodes fetch from.
    pub sources: Sources,
    /// The image that nodes are made from.
    pub base: BaseImage,
    /// A directory of the user's whose files replace or add to the overlays.
    pub overlays: Option<PathBuf>,
    /// A file of the user's with cloud-config that is merged into every node's user-data.
    pub cloud_init_extra: Option<PathBuf>,
}

/// The image that nodes are made from, and how it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// A release, `sample`, a path or a URL.
    pub image: String,
    /// Where releases are downloaded from instead of Ubuntu's server.
    pub mirror: Option<String>,
    /// The image file's SHA-256, 64 lower case hex digits.
    pub sha256: Option<String>,
    /// A keyring to trust for SHA256SUMS.gpg instead of the embedded key.
    pub keyring: Option<PathBuf>,
    /// The platform to take the image for, where its os-release names none that is known.
    pub platform: Option<String>,
    /// Further arguments for the kernel.
    pub kernel_arguments: Vec<String>,
}

impl Cluster {
    /// The node that runs the control plane.
    pub fn control_plane(&self) -> &Node {
        // Validation lets no cluster exist without one; the fallback keeps this total.
        self.nodes.iter().find(|n| n.is_control_plane()).unwrap_or(&self.nodes[0])
    }

    /// The full name of the API server: `kubernetes.` and the domain.
    pub fn api_name(&self) -> String {
        format!("kubernetes.{}", self.domain)
    }
}
