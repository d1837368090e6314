//! What of a bake a bill tells.

use super::check::{Expected, SHARED};
use crate::catalog::Checksums;
use crate::image_path::ImagePath;
use crate::recipe::{Access, Volume};

/// A regular file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'a> {
    /// The file system that holds it.
    pub volume: Volume,
    /// Where it lies there, with no link on the way.
    pub path: &'a ImagePath,
    /// Its owner and mode; FAT keeps none.
    pub access: Access,
    /// What is in it; `None` where that is a secret.
    pub checksums: Option<Checksums>,
    /// Whether it was preloaded, and is not the recipe's.
    pub is_preloaded: bool,
}

impl<'a> Written<'a> {
    pub(super) fn of(volume: Volume, path: &'a ImagePath, expected: &Expected) -> Option<Self> {
        let (access, checksums, is_preloaded) = match expected {
            Expected::File { content, access, secret } => {
                (*access, (!secret).then(|| Checksums::of(content)), false)
            }
            Expected::Large { checksums, .. } => (SHARED, Some(*checksums), true),
            Expected::Known { .. }
            | Expected::Directory { .. }
            | Expected::Symlink { .. }
            | Expected::Absent => return None,
        };
        Some(Self { volume, path, access, checksums, is_preloaded })
    }
}
