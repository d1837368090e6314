//! What all the work is for: an image that may be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cache::Checked;
use super::verify::Trust;
use super::{Digest, Error, Result};
use crate::catalog::Release;
use crate::disk::FileDevice;
use crate::io::Stamp;

/// A whole, verified image: a raw file that is only read.
#[derive(Debug, Clone)]
pub struct Base {
    /// What it is called: the release, `sample`, the path or the address that was asked for.
    pub name: String,
    /// The release of Ubuntu, where it was asked for as one.
    pub release: Option<Release>,
    /// Where it is published, as it may be shown; `None` for files of this machine and the sample.
    pub url: Option<String>,
    /// Size of the raw image in bytes.
    pub len: u64,
    /// Size of the file as it was published, in bytes.
    pub packed_len: u64,
    /// SHA-256 of the file as it was published, so mostly of the compressed one.
    pub digest: Digest,
    /// Why its bytes are believed to be the right ones.
    pub trust: Trust,
    /// What was looked at before it was used.
    pub checked: Checked,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

impl Base {
    /// The raw file. It is sparse and must not be written to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the image for reading.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened, [`Error::Changed`] where it is no longer the file that
    /// was verified.
    pub fn device(&self) -> Result<Arc<FileDevice>> {
        let device =
            FileDevice::open(&self.path).map_err(|e| Error::io("opening the base image", &self.path, e))?;
        self.compare(Stamp::of(device.file()).map_err(|e| Error::io("examining", &self.path, e))?)?;
        Ok(Arc::new(device))
    }

    /// Whether the file is still as it was when it was verified; asked once more when all that was
    /// made from it has been read. A file of the user's own, used in place, may be written to meanwhile.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is not, [`Error::Io`] where it is gone.
    pub fn unchanged(&self) -> Result<()> {
        self.compare(Stamp::at(&self.path).map_err(|e| Error::io("examining", &self.path, e))?)
    }

    fn compare(&self, now: Stamp) -> Result<()> {
        if now == self.stamp { Ok(()) } else { Err(Error::Changed { path: self.path.clone() }) }
    }
}
