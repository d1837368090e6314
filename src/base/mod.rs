//! Base images: what every node's card starts as. Named, fetched, verified, decompressed once, kept
//! in a cache, and never written to afterwards.
//!
//! [`Cache::obtain`] is the whole of it. On its way from the network the image is hashed, kept for
//! an interrupted download to be resumed, decoded, written to the cache and to an [`ImageObserver`]'s targets, all
//! at the same time; it stands under its name in the cache only after its digest was right.

use std::path::{Path, PathBuf};
use std::sync::Arc;

mod cache;
mod decode;
mod error;
mod fetch;
mod options;
mod resolve;
mod space;
mod verify;

pub use cache::{Cache, Checked};
pub use decode::{DecodeError, Format, ImageObserver, xz_raw_len};
pub use error::Error;
pub use options::{Options, Patience};
pub use verify::{InvalidSums, Keyring, SignatureError, Sums, Trust, UBUNTU_CD_IMAGE_KEY};

pub use crate::catalog::{Digest, InvalidSpec, Spec};
use crate::disk::FileDevice;
use crate::io::Stamp;

/// The result of work on base images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A whole, verified image: a raw file that is only read.
#[derive(Debug, Clone)]
pub struct Base {
    /// What it is called: the release, `sample`, the path or the address that was asked for.
    pub name: String,
    /// The Ubuntu release, where the catalog knows it.
    pub release: Option<String>,
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
    path: PathBuf,
    stamp: Stamp,
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
