//! Where a download is kept.

use std::path::{Path, PathBuf};

/// Where a download is kept until it is whole.
pub(crate) struct Place {
    pub(crate) part: PathBuf,
    pub(crate) version: PathBuf,
}

impl Place {
    pub(crate) fn new(dir: &Path, key: &str) -> Self {
        Self { part: dir.join(format!("{key}.part")), version: dir.join(format!("{key}.part.json")) }
    }

    /// Removes all there is.
    pub(crate) fn clear(&self) {
        // what is not there need not be removed, and what cannot be is overwritten the next time
        let _ = std::fs::remove_file(&self.version);
        let _ = std::fs::remove_file(&self.part);
    }
}
