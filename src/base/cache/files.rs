//! Small files of the cache, which are either whole or not there.

use std::path::Path;

use crate::base::Result;
use crate::http::space;
use crate::io::{atomic, read_small};

/// Larger than any file of the cache's but images and downloads: a SHA256SUMS has at most 1 MiB.
const LARGEST_FILE: u64 = 1 << 20;

/// Reads a small file of the cache; none of ours is as large as what is not read.
pub(crate) fn read_whole(path: &Path) -> Option<Vec<u8>> {
    read_small(path, LARGEST_FILE).ok()
}

/// Writes a small file so that it is either the old one or whole, also after a loss of power.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write_whole(path, bytes).map_err(|e| space::explain(e, "writing", path).into())
}
