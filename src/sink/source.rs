//! The base as a sink reads it: a file with holes, read once, in order.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::disk::{FileDevice, Ranges, ReadAt};
use crate::io::chunk::Chunk;

/// The base's raw file.
pub(super) struct Source {
    device: FileDevice,
    path: PathBuf,
    data: Ranges,
}

impl Source {
    /// Opens the base and asks the file system where its holes are.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let fault = |source| Error::Read { path: path.to_owned(), source };
        let device = FileDevice::open(path).map_err(fault)?;
        let data = device.data().map_err(fault)?;
        // Read-ahead is advice: a file system that takes none reads all the same.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(device.file(), 0, None, rustix::fs::Advice::Sequential);
        Ok(Self { device, path: path.to_owned(), data })
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        self.device.file()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Size in bytes, holes included.
    pub(super) fn len(&self) -> u64 {
        self.device.len()
    }

    /// Where data may be, in whole grains.
    pub(super) fn data(&self) -> &Ranges {
        &self.data
    }

    /// All chunks that have data in them.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Result<Chunk, Error>> {
        self.device.chunks(&self.data).map(move |chunk| chunk.map_err(|e| self.fault(e)))
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, buffer)
    }

    /// What reading it answered, as an error.
    pub(super) fn fault(&self, source: io::Error) -> Error {
        Error::Read { path: self.path.clone(), source }
    }
}
