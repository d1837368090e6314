//! What an image is made of.

use crate::catalog::Digest;
use crate::oci::manifest::Blob;
use crate::registry::Reference;

/// An image for a Raspberry Pi. All its parts are in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: Reference,
    /// What the name stood for when it was looked up: an index, or the manifest itself.
    pub resolved: Digest,
    /// What names the other parts.
    pub manifest: Blob,
    /// The description of what runs.
    pub config: Blob,
    /// The changes of its file system, the lowest first.
    pub layers: Vec<Blob>,
}

impl Image {
    /// All of its parts.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        [&self.manifest, &self.config].into_iter().chain(&self.layers)
    }
}
