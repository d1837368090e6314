//! What is asked: nodes, network, versions, access. Pure data, read from a pibake.toml and
//! validated; a [`Cluster`] that exists is one that can be built.

mod access;
mod authorized_key;
mod board;
mod check;
mod consistency;
mod containerd;
mod coredns;
mod country;
mod day;
pub mod defaults;
mod edit;
mod excerpt;
mod fingerprint;
mod image;
mod images;
mod init;
mod interface;
mod ipv6;
mod kernel_argument;
mod kubernetes;
mod labels;
mod link;
mod login;
mod minors;
mod network;
mod node;
mod node_name;
mod plan;
pub mod platform;
mod problem;
mod proxy;
mod radio;
mod read;
#[cfg(test)]
mod schema;
mod secret;
#[cfg(test)]
mod settings;
mod software;
mod sources;
mod support;
mod toml;
mod unknown;
mod upgrade;
mod usb_quirk;
mod version;
mod warning;
mod wifi;

use std::path::{Path, PathBuf};

use crate::catalog::{Digest, Spec};

pub use access::{Access, Password, Ttl};
pub use board::Bootloader;
pub use containerd::{ContainerdSource, ContainerdVersion};
pub use edit::{EditError, with_value};
pub use fingerprint::Fingerprint;
pub use image::{Image, ImageSize, InvalidSize};
pub use images::KubeadmImages;
pub use init::init;
pub use ipv6::Ipv6;
pub use kernel_argument::KernelArgument;
pub use kubernetes::{Cgroup, Flannel, Kubernetes, KubernetesVersion, NetworkPlugin};
pub use link::{Bond, BondMode, Link, Medium};
pub use login::Accounts;
pub use network::{
    Dhcp, Gateway, Lan, LanAddressing, Mode, Network, Opening, Protocol, Uplink, UplinkAddressing,
};
pub use node::{MacAddress, Node, Role};
pub use node_name::NodeName;
pub(crate) use plan::MAX_NODES;
pub use platform::Platform;
pub use problem::{Error, Origin, Problem};
pub use proxy::{Proxy, ProxyUrl};
pub use read::{NotUnicode, Overrides, Passwords};
pub use secret::Secret;
pub use software::Software;
pub use sources::{AptSource, ImageLayout, Sources};
#[cfg(test)]
pub(crate) use support::now_for_tests;
pub use support::{OutOfSupport, WRITTEN};
pub use upgrade::Upgrade;
pub use usb_quirk::UsbQuirk;
pub use warning::Warning;
pub use wifi::{EapMethod, Enterprise, Inner, Radio, Security, Tunnel, Wifi, WifiKey};

/// What `pibake init` writes: every key with its default, and what it is for.
pub const INIT: &str = include_str!("init.toml");

/// A description of a cluster, complete and consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in kubeconfig files.
    pub name: String,
    /// The DNS domain that node names are completed with.
    pub domain: String,
    /// The machines, by number; exactly one is a control plane.
    pub nodes: Vec<Node>,
    /// How USB disks of some kinds are to be treated, on every node.
    pub usb_quirks: Vec<UsbQuirk>,
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
    /// Which packages of the image are upgraded.
    pub upgrade: Upgrade,
    /// What their own images are like.
    pub image: Image,
    /// A directory of the user's whose files replace or add to the overlays.
    pub overlays: Option<PathBuf>,
    /// A file of the user's with cloud-config that is merged into every node's user-data.
    pub cloud_init_extra: Option<PathBuf>,
    /// Where each value was written, for messages.
    origins: problem::Origins,
}

/// The image that nodes are made from, and how it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// Which it is.
    pub image: Spec,
    /// Where releases are downloaded from instead of Ubuntu's server.
    pub mirror: Option<String>,
    /// Where releases that a newer one replaced are downloaded from instead of Ubuntu's server.
    pub old_mirror: Option<String>,
    /// The digest of the image's file as published; `None` also where a flag names another image than the
    /// description that has it.
    pub sha256: Option<Digest>,
    /// A keyring to trust for SHA256SUMS.gpg instead of the embedded key.
    pub keyring: Option<PathBuf>,
    /// The platform to take the image for, where its os-release names none that is known.
    pub platform: Option<Platform>,
    /// Further arguments for the kernel.
    pub kernel_arguments: Vec<KernelArgument>,
}

impl Cluster {
    /// The node that runs the control plane; validation lets no cluster exist without one.
    #[must_use]
    pub fn control_plane(&self) -> Option<&Node> {
        self.nodes.iter().find(|n| n.is_control_plane())
    }

    /// The platform that the description names, or that the release of its base image is; `None`
    /// where only the image itself can tell.
    #[must_use]
    pub fn stated_platform(&self) -> Option<Platform> {
        match (&self.base.platform, &self.base.image) {
            (Some(platform), _) => Some(*platform),
            (None, Spec::Release(release)) => Platform::named(&release.series().to_string()),
            (None, Spec::Sample | Spec::Path(_) | Spec::Url(_)) => None,
        }
    }

    /// The keys of the description that hold a secret in clear.
    pub(crate) fn secret_keys(&self) -> Vec<String> {
        let proxy = self.sources.proxy.as_ref();
        let is_elsewhere =
            |key: &str| self.origins.flags.contains_key(key) || self.origins.secret_files.contains_key(key);
        let has_password = |url: Option<&ProxyUrl>| {
            url.is_some_and(ProxyUrl::has_password) && !is_elsewhere("sources.proxy.password")
        };
        let is_secret = |key: &str| match key {
            "access.password" | "access.password-hash" => true,
            "sources.proxy.http" => has_password(proxy.and_then(|p| p.http.as_ref())),
            "sources.proxy.https" => has_password(proxy.and_then(|p| p.https.as_ref())),
            key => {
                let (table, key) = key.rsplit_once('.').unwrap_or_default();
                table.starts_with("network.wifi")
                    && ["password", "psk", "private-key-password"].contains(&key)
            }
        };
        let given = self.origins.positions.keys();
        given.filter(|key| is_secret(key) && !is_elsewhere(key)).cloned().collect()
    }

    /// The files that secrets of the description were read from.
    pub(crate) fn secret_files(&self) -> impl Iterator<Item = &Path> {
        self.origins.secret_files.values().map(PathBuf::as_path)
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if let Some(gateway) = self.network.gateway()
            && gateway.uplink.link.radio().is_none()
            && !["network.uplink.interface", "network.uplink.vlan", "network.uplink.address"]
                .iter()
                .any(|key| self.origins.is_set(key))
        {
            let node = self.control_plane().map_or("the control plane", |node| node.name.as_str()).to_owned();
            warnings.push(Warning::NoRadio { node, interface: gateway.uplink.link.title() });
        }
        let version = self.kubernetes.version;
        if let Some(version) = version.filter(|version| version.minor > minors::NEWEST_KUBERNETES) {
            warnings.push(Warning::UnknownKubernetes { version });
        }
        if self.network.radio().is_some_and(|radio| radio.country.is_none()) {
            warnings.push(Warning::NoCountry);
        }
        warnings.extend(self.uncertain_radios());
        warnings.extend(self.small_control_plane());
        warnings
    }

    /// The full name of the API server: `kubernetes.` and the domain.
    #[must_use]
    pub fn api_name(&self) -> String {
        format!("kubernetes.{}", self.domain)
    }
}
