//! Where a node's packages come from, and which.

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::types::KeyDetails;
use serde::Serialize;

use crate::cluster::platform::NEWEST_KUBERNETES;
use crate::cluster::{
    AptSource, Cluster, ContainerdSource, Fingerprint, Platform, Software, Sources, defaults,
};
use crate::error::{Classified, ErrorClass};
use crate::node_paths;

/// What apt's files are made of.
#[derive(Debug, Serialize)]
pub(super) struct Apt {
    /// Ubuntu's archive, where it is not the one that the image comes with.
    ubuntu_mirror: Option<String>,
    docker: Repository,
    kubernetes: Repository,
    pins: Vec<Pin>,
    upgrade: &'static str,
    /// Whether Docker's repository is one of the sources.
    has_docker: bool,
}

#[derive(Debug, Serialize)]
struct Repository {
    url: String,
    suite: Option<String>,
}

/// Packages of one version, with all its revisions.
#[derive(Debug, Serialize)]
struct Pin {
    packages: Vec<&'static str>,
    /// Up to the point where any number or revision may follow: `1.34.`, `1.34.2-`.
    version: String,
}

/// The packages of Kubernetes that are pinned to one another and held.
const KUBERNETES_PACKAGES: [&str; 3] = ["kubelet", "kubeadm", "kubectl"];

/// The package with crictl in it. Each of pkgs.k8s.io's repositories has it; Ubuntu and Debian do not.
const CRI_TOOLS: &str = "cri-tools";

/// What a node installs from the Kubernetes repository, and holds. cri-tools is named, as the others'
/// dependencies are not the same in any two versions: today nothing depends on it.
pub(super) fn kubernetes_packages() -> Vec<&'static str> {
    KUBERNETES_PACKAGES.into_iter().chain([CRI_TOOLS]).collect()
}

/// Where the packages of nodes on `platform` come from.
pub(super) fn apt(cluster: &Cluster, platform: &Platform, software: &Software) -> Apt {
    let Cluster { sources, upgrade, .. } = cluster;
    let prefix = |version: String, patch: Option<u16>| match patch {
        Some(_) => format!("{version}-"),
        None => format!("{version}."),
    };
    let kubernetes = prefix(software.kubernetes.to_string(), software.kubernetes.patch);
    let containerd = prefix(software.containerd.to_string(), software.containerd.patch);
    Apt {
        upgrade: upgrade.as_str(),
        has_docker: software.containerd_from == ContainerdSource::Docker,
        ubuntu_mirror: Some(sources.ubuntu.clone()).filter(|url| url != defaults::UBUNTU),
        docker: Repository { url: sources.docker.url.clone(), suite: Some(platform.codename.to_owned()) },
        kubernetes: Repository {
            url: with_minor(&sources.kubernetes.url, software.kubernetes.minor),
            suite: None,
        },
        pins: vec![
            Pin { packages: KUBERNETES_PACKAGES.to_vec(), version: kubernetes },
            // Its patch releases are its own, and a repository may hold no such line of it: a pin to
            // what is not there does nothing.
            Pin { packages: vec![CRI_TOOLS], version: format!("1.{}.", software.kubernetes.minor) },
            Pin { packages: vec![software.containerd_from.package()], version: containerd },
        ],
    }
}

/// Puts the minor version into a URL that has a place for it.
fn with_minor(url: &str, minor: u16) -> String {
    url.replace("{minor}", &format!("1.{minor}"))
}

/// Where the key of a repository is got that a card does not have, or that has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// The file that apt on the node has it in.
    pub keyring: &'static str,
    /// Where it is fetched from, in this order until one has it and it has not expired.
    pub urls: Vec<String>,
    /// The one primary key that is trusted.
    pub fingerprint: Fingerprint,
}

/// Where the keys of the repositories are got that nodes with `software` install from besides their distribution's:
/// of Kubernetes' and, where containerd comes from there, of Docker's.
#[must_use]
pub fn key_sources(sources: &Sources, software: &Software) -> Vec<KeySource> {
    let minor = software.kubernetes.minor;
    let of = |keyring, source: &AptSource, urls| KeySource { keyring, urls, fingerprint: source.fingerprint };
    let (docker, kubernetes) = (&sources.docker, &sources.kubernetes);
    let mut found =
        vec![of(node_paths::KUBERNETES_KEYRING, kubernetes, key_urls(&kubernetes.key_url, minor))];
    if software.containerd_from == ContainerdSource::Docker {
        found.push(of(node_paths::DOCKER_KEYRING, docker, vec![docker.key_url.clone()]));
    }
    found
}

/// Where a node that has `minor` looks for the key of the Kubernetes repository, in this order: where its own packages
/// are and, as the key there may stay expired after it was prolonged (so it did in November 2024), where those of the
/// newest minor version are.
fn key_urls(url: &str, minor: u16) -> Vec<String> {
    let mut urls = vec![with_minor(url, minor), with_minor(url, NEWEST_KUBERNETES.max(minor))];
    urls.dedup();
    urls
}

/// Which key an image carries for a repository.
pub(super) enum RepositoryKey<'a> {
    /// The one in overlays/common/etc/apt/keyrings, of the default fingerprint. Docker's does not expire. That
    /// of Kubernetes expires on 2026-12-29; its owners prolong it every two years, so first boot fetches it
    /// again where it has expired, and takes only a key of the same fingerprint.
    BuiltIn,
    /// One from a file of the user's, armoured.
    FromFile(&'a str),
    /// None: first boot fetches it.
    Fetched,
}

/// Which key an image carries for `source`. `built_in` is the fingerprint of the one that pibake has;
/// `file` is what was read from the source's key file.
pub(super) fn repository_key<'a>(
    source: &AptSource,
    built_in: Fingerprint,
    file: Option<&'a str>,
) -> RepositoryKey<'a> {
    match file {
        Some(key) => RepositoryKey::FromFile(key),
        None if source.fingerprint == built_in => RepositoryKey::BuiltIn,
        None => RepositoryKey::Fetched,
    }
}

/// Why a file is not the key that it should be.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It holds no OpenPGP public key.
    #[error("it holds no OpenPGP public key")]
    NoKey(#[source] pgp::errors::Error),
    /// It holds another key.
    #[error("it holds the key {found}, not {wanted}, the one that is to be trusted")]
    OtherKey {
        /// Fingerprint of the key in the file.
        found: String,
        /// Fingerprint of the key that should be there.
        wanted: Fingerprint,
    },
}

impl Classified for KeyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoKey(_) | Self::OtherKey { .. } => ErrorClass::Configuration,
        }
    }
}

/// Reads the key in a user's file, armoured or binary, and returns it armoured, as apt wants it
/// in a keyring that ends in `.asc`.
pub fn read_key(bytes: &[u8], wanted: Fingerprint) -> Result<String, KeyError> {
    let (key, _) = SignedPublicKey::from_reader_single(bytes).map_err(KeyError::NoKey)?;
    let found = key.fingerprint();
    if found.as_bytes() != wanted.as_bytes() {
        return Err(KeyError::OtherKey { found: hex::encode_upper(found.as_bytes()), wanted });
    }
    key.to_armored_string(Default::default()).map_err(KeyError::NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_looked_for_where_the_packages_are_and_where_the_newest_ones_are() {
        let newest = |text: &str| text.replace("NEWEST", &NEWEST_KUBERNETES.to_string());
        let urls = |url: &str, minor| key_urls(url, minor).join(" ");
        assert_eq!(urls("https://h/v{minor}/k", 31), newest("https://h/v1.31/k https://h/v1.NEWEST/k"));
        assert_eq!(urls("https://h/v{minor}/k", NEWEST_KUBERNETES), newest("https://h/v1.NEWEST/k"));
        // One that is newer than pibake is the newest that there is.
        assert_eq!(
            urls("https://h/v{minor}/k", NEWEST_KUBERNETES + 3),
            format!("https://h/v1.{}/k", NEWEST_KUBERNETES + 3)
        );
        assert_eq!(urls("http://mirror/key", 31), "http://mirror/key");
    }
}
