//! Which Kubernetes, and how.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::Ipv4Net;

use super::version::{FORM, numbers};
use super::{ContainerdSource, ContainerdVersion};

/// Which Kubernetes, and how. What is `None` follows from the platform, see
/// [`super::Cluster::software`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubernetes {
    /// The version asked for.
    pub version: Option<KubernetesVersion>,
    /// The network of the pods; every node gets a /24 of it.
    pub pods: Ipv4Net,
    /// The network of the services.
    pub services: Ipv4Net,
    /// The containerd asked for.
    pub containerd: Option<ContainerdVersion>,
    /// The package of containerd asked for.
    pub containerd_from: Option<ContainerdSource>,
    /// The pause image asked for.
    pub pause_image: Option<String>,
    /// The cgroup hierarchy asked for.
    pub cgroup: Option<Cgroup>,
    /// Whether users' pods may run on the control plane node as well.
    pub schedule_on_control_plane: bool,
    /// What makes the pod network.
    pub plugin: NetworkPlugin,
    /// The pod network, where flannel makes it.
    pub flannel: Flannel,
    /// Manifests of the user's, files and folders, that are applied once when the API server answers.
    pub manifests: Vec<PathBuf>,
}

/// What makes the network between pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkPlugin {
    /// flannel, which pibake brings.
    Flannel,
    /// Something that the user brings, as manifests or by hand.
    None,
}

/// The pod network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flannel {
    /// Whole reference of flannel's image.
    pub image: String,
    /// Whole reference of the image with flannel's CNI plugin.
    pub cni_plugin_image: String,
}

impl Flannel {
    /// Whether the image has `/opt/bin/install-conf`, which took the place of `cp` (flannel 0.28.6,
    /// images/Dockerfile). An image whose tag is no release is taken to be as new as pibake's own.
    pub(crate) fn installs_its_configuration(&self) -> bool {
        is_since(&self.image, (0, 28, 6))
    }

    /// Whether the backend host-gw makes routes of IPv6 as well (flannel 0.15.0, backend/hostgw).
    pub(crate) fn routes_ipv6(&self) -> bool {
        is_since(&self.image, (0, 15, 0))
    }

    /// Whether the CNI plugin gives pods addresses of both kinds (flannel's Documentation/configuration.md, "Dual-stack").
    pub(crate) fn plugin_knows_ipv6(&self) -> bool {
        is_since(&self.cni_plugin_image, (1, 0, 1))
    }

    /// Whether flanneld answers at `/readyz` as well as at `/healthz` (flannel 0.28.9, main.go).
    pub(crate) fn tells_readiness(&self) -> bool {
        is_since(&self.image, (0, 28, 9))
    }
}

/// Whether an image's tag is that release or a newer one; one that is no release is taken to be.
fn is_since(image: &str, release: (u16, u16, u16)) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    match numbers(tag.and_then(|tag| tag.strip_prefix('v')).unwrap_or_default()) {
        Ok((major, minor, Some(patch))) => (major, minor, patch) >= release,
        _ => true,
    }
}

/// A version of Kubernetes: `1.34`, or `1.34.2` to have exactly that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// The number after `1.`.
    pub minor: u16,
    /// The patch release; the newest of the minor version where it is not given.
    pub patch: Option<u16>,
}

impl KubernetesVersion {
    /// The newest patch release of a minor version.
    #[must_use]
    pub const fn minor(minor: u16) -> Self {
        Self { minor, patch: None }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.patch {
            Some(patch) => write!(f, "1.{}.{patch}", self.minor),
            None => write!(f, "1.{}", self.minor),
        }
    }
}

impl FromStr for KubernetesVersion {
    type Err = &'static str;

    /// Takes `1.34`, `1.34.2`, and both with a `v` before.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match numbers(text.strip_prefix('v').unwrap_or(text))? {
            (1, minor, patch) => Ok(Self { minor, patch }),
            _ => Err(FORM),
        }
    }
}

/// Which hierarchy of control groups systemd mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroup {
    /// The legacy hierarchies.
    V1,
    /// The unified hierarchy.
    V2,
}

impl fmt::Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ContainerdVersion;

    #[test]
    fn flannel_is_started_as_its_release_wants_it() {
        for (image, installs, tells) in [
            ("ghcr.io/flannel-io/flannel:v0.27.4", false, false),
            ("registry.lan:5000/flannel:v0.28.5", false, false),
            ("registry.lan:5000/flannel:v0.28.6@sha256:00", true, false),
            ("ghcr.io/flannel-io/flannel:v0.28.9", true, true),
            ("ghcr.io/flannel-io/flannel:v0.29.0", true, true),
            ("registry.lan:5000/flannel:ours", true, true),
            ("registry.lan:5000/flannel@sha256:00", true, true),
        ] {
            let flannel = Flannel { image: image.to_owned(), cni_plugin_image: String::new() };
            let said = (flannel.installs_its_configuration(), flannel.tells_readiness());
            assert_eq!(said, (installs, tells), "{image}");
        }
    }

    #[test]
    fn dual_stack_is_known_by_the_images_that_have_it() {
        for (image, plugin, known) in [
            (
                "ghcr.io/flannel-io/flannel:v0.28.9",
                "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
                (true, true),
            ),
            (
                "quay.io/coreos/flannel:v0.14.0",
                "rancher/mirrored-flannelcni-flannel-cni-plugin:v1.0.0",
                (false, false),
            ),
            (
                "quay.io/coreos/flannel:v0.15.0",
                "rancher/mirrored-flannelcni-flannel-cni-plugin:v1.0.1",
                (true, true),
            ),
            ("registry.lan:5000/flannel:ours", "registry.lan:5000/plugin", (true, true)),
        ] {
            let flannel = Flannel { image: image.to_owned(), cni_plugin_image: plugin.to_owned() };
            assert_eq!((flannel.routes_ipv6(), flannel.plugin_knows_ipv6()), known, "{image}");
        }
    }

    #[test]
    fn versions_are_read_and_shown() {
        for (text, minor, patch) in [("1.34", 34, None), ("v1.34.2", 34, Some(2)), ("1.20.0", 20, Some(0))] {
            let version: KubernetesVersion = text.parse().unwrap();
            assert_eq!((version.minor, version.patch), (minor, patch));
            assert_eq!(version.to_string(), text.trim_start_matches('v'));
        }
        for text in
            ["", "1", "2.1", "1.34.2.1", "1.x", "1.+3", "1.034", "latest", "1.34-rc1", "1.99999", "1."]
        {
            assert_eq!(text.parse::<KubernetesVersion>(), Err(FORM), "{text}");
        }
        assert_eq!("1.7".parse(), Ok(ContainerdVersion::line(1, 7)));
        assert_eq!("2.1.4".parse::<ContainerdVersion>().map(|v| v.to_string()), Ok("2.1.4".to_owned()));
    }
}
