//! Whether a kubeadm asks for the images that are baked: a release may be newer than what is known of it here.

use std::io::Read;
use std::path::Path;

use memchr::memmem;

use super::error::{Error, Result};
use crate::apt;
use crate::registry::{Reference, Version};

/// What is read at once.
const PIECE: usize = 256 << 10;

/// Shorter texts are found in any program.
const SHORTEST: usize = 5;

/// Looks into the package at `path` for the tags of images that are not of the version of Kubernetes itself. They are
/// constants of the program, so they stand in it as they are; of the ones of other releases it has none.
pub(super) fn check(path: &Path, version: &str, images: &[&Reference]) -> Result<()> {
    let mut missing: Vec<(&Reference, &str)> = Vec::new();
    for &image in images {
        let name = image.path().rsplit('/').next().unwrap_or_default();
        if let Version::Tag(tag) = image.version()
            && ["etcd", "coredns"].contains(&name)
            && tag.len() >= SHORTEST
        {
            missing.push((image, tag));
        }
    }
    let failed = |source| Error::Cache { path: path.to_owned(), source };
    let mut tree = apt::tree(path).map_err(failed)?;
    let longest = missing.iter().map(|(_, tag)| tag.len()).max().unwrap_or_default();
    let mut window = Vec::new();
    while !missing.is_empty() {
        // what may be the beginning of one that goes on in the next piece
        let kept = window.len().min(longest);
        window.drain(..window.len() - kept);
        let read = (&mut tree).take(PIECE as u64).read_to_end(&mut window).map_err(failed)?;
        missing.retain(|(_, tag)| memmem::find(&window, tag.as_bytes()).is_none());
        if read == 0 {
            break;
        }
    }
    match missing.first() {
        Some((image, _)) => Err(Error::Unknown { version: version.to_owned(), image: image.to_string() }),
        None => Ok(()),
    }
}
