//! Every address that a node fetches from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Fingerprint, Proxy};

/// Every address that a node fetches from. All URLs are checked: http or https, a host, no
/// blanks, quotes or control characters, no `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Ubuntu's package archive for arm64.
    pub ubuntu: String,
    /// Where containerd.io comes from.
    pub docker: AptSource,
    /// Where kubelet, kubeadm and kubectl come from; `{minor}` in its URLs stands for `1.34`.
    pub kubernetes: AptSource,
    /// Registry and path of the control plane's images.
    pub image_registry: String,
    /// How that registry names the images, where the user says.
    pub image_layout: Option<ImageLayout>,
    /// Registries that containerd asks instead: host of the registry to endpoints, in order.
    pub registry_mirrors: BTreeMap<String, Vec<String>>,
    /// Time servers; none means those that the image comes with.
    pub ntp: Vec<String>,
    /// The proxy that nodes reach the world through.
    pub proxy: Option<Proxy>,
}

/// How a registry with the control plane's images names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageLayout {
    /// As registry.k8s.io does: CoreDNS is `coredns/coredns`. So do mirrors that fetch through.
    Upstream,
    /// As `kubeadm config images list --image-repository` does: CoreDNS is `coredns`.
    Flat,
}

/// An apt repository and the key that signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// The repository's address, as after `deb` in a source list.
    pub url: String,
    /// Where a node fetches the key, where `key_file` is not given.
    pub key_url: String,
    /// A file of this machine with the key (armoured or binary), baked instead of fetched.
    pub key_file: Option<PathBuf>,
    /// The one primary key that is trusted.
    pub fingerprint: Fingerprint,
}
