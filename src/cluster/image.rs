//! What the images are like.

use crate::registry::Reference;

/// What the images are like, whatever they are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Whether packages and container images are baked in, so that nodes need no network but their own.
    pub preload: bool,
    /// Container images that are baked in besides those that the cluster starts with.
    pub preload_images: Vec<Reference>,
}
