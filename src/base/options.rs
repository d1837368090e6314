//! What may be asked of obtaining a base image.

use std::path::PathBuf;

use super::Digest;
use crate::http::{Patience, Purpose};
use crate::io::CancelToken;

/// What to say where a base image cannot be fetched.
pub(crate) static PURPOSE: Purpose = Purpose {
    what: "the image",
    check: "the address or the release",
    mirror: "base.mirror",
    by_hand: Some("fetch the image by other means and give the file"),
};

/// How a base image is obtained. The default is what a user without special needs wants.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Replaces [`RELEASES`](crate::catalog::RELEASES) as the place of releases.
    pub mirror: Option<String>,
    /// Replaces [`OLD_RELEASES`](crate::catalog::OLD_RELEASES) as the place of releases that a newer one replaced.
    /// Without it they are looked for there only where there is no `mirror`.
    pub old_mirror: Option<String>,
    /// The digest that the image as published (so mostly compressed) must have. It is trusted
    /// instead of any SHA256SUMS.
    pub sha256: Option<Digest>,
    /// Accept an image from the network that nothing vouches for.
    pub insecure: bool,
    /// Never touch the network.
    pub offline: bool,
    /// OpenPGP keys, binary or armoured, that sign SHA256SUMS instead of the built-in key.
    pub keyring: Option<PathBuf>,
    /// Read a cached image in full and compare it with its checksum, instead of only its size and
    /// time; a damaged one is obtained again.
    pub thorough: bool,
    /// The most bytes that an image may unpack to, instead of what is sane for its packed size or
    /// known of its release.
    pub max_raw_len: Option<u64>,
    /// How long to put up with a bad network.
    pub patience: Patience,
    /// Ends it. What was downloaded is kept.
    pub cancel: CancelToken,
}
