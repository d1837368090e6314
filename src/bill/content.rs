//! What is on a card, as its bill tells it.

use crate::catalog::{Checksums, Digest};
use crate::image_path::ImagePath;

/// What follows the name of a node in the name of the bill beside its image.
pub const EXTENSION: &str = "spdx.json";

/// What is on the card of a node.
#[derive(Debug, Clone)]
pub struct Bill<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The board that the card is for, where the description says so.
    pub board: Option<&'a str>,
    /// When the card was baked, in seconds since 1970.
    pub created: i64,
    /// The version of pibake.
    pub pibake: &'a str,
    /// The image that the card was made from.
    pub base: BaseImage<'a>,
    /// What was preloaded besides.
    pub added: Vec<Added<'a>>,
    /// Container images that were preloaded.
    pub images: Vec<ContainerImage<'a>>,
    /// The regular files that pibake wrote, in the order of their paths.
    pub files: Vec<File>,
    /// Those among them that hold secrets, in the same order.
    pub secrets: Vec<ImagePath>,
}

/// The image that a card was made from.
#[derive(Debug, Clone)]
pub struct BaseImage<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The SHA-256 of its file as it was published.
    pub digest: Digest,
    /// Where it was published, where it was fetched.
    pub url: Option<&'a str>,
    /// What system it says that it holds: `ubuntu`, and the version of that.
    pub system: Option<(&'a str, &'a str)>,
    /// What is installed on it.
    pub installed: &'a [Package],
}

/// A Debian package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its version.
    pub version: String,
}

/// A Debian package that is on the card to be installed by the node.
#[derive(Debug, Clone)]
pub struct Added<'a> {
    /// Which.
    pub package: Package,
    /// The digest of its file.
    pub sha256: Digest,
    /// Where that was fetched from, as it may be shown.
    pub url: String,
    /// Where that is on the card.
    pub file: Option<&'a ImagePath>,
}

/// A container image for `linux/arm64`.
#[derive(Debug, Clone)]
pub struct ContainerImage<'a> {
    /// Its registry and its path there: `registry.k8s.io/pause`.
    pub repository: String,
    /// The tag that it was asked for by.
    pub tag: Option<&'a str>,
    /// The digest of its manifest.
    pub digest: Digest,
}

/// A file whose content is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, as the running node sees it: the boot partition is below `/boot/firmware`.
    pub path: ImagePath,
    /// What is in it.
    pub checksums: Checksums,
    /// Who may do what with it; nothing where the file system keeps no modes.
    pub access: Option<Mode>,
    /// Whether it was preloaded, so that a node's recipe does not say what is in it.
    pub is_preloaded: bool,
}

/// Mode and owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// The permission bits.
    pub mode: u16,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}
