//! Files that are too large for memory: they are read while they are laid into an image.

use std::io::{self, Read};

use super::error::Error;
use crate::catalog::{ChecksumHasher, Checksums};
use crate::image_path::ImagePath;

/// A file of the root file system that is read while it is laid there. It is root's, and everybody may read it.
pub struct LargeFile<'a> {
    /// Its path.
    pub path: ImagePath,
    /// Bytes in it.
    pub len: u64,
    /// Opens it. What is not what was promised ends in an error of kind [`io::ErrorKind::InvalidData`].
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Read + 'a>> + 'a>,
}

/// What is read, and what was found out of it.
pub(super) struct Source<'a> {
    reader: Box<dyn Read + 'a>,
    path: ImagePath,
    hasher: ChecksumHasher,
    len: u64,
    /// Why it could not be read: an editor's words for it are those of a fault of its own.
    fault: Option<io::Error>,
}

impl<'a> LargeFile<'a> {
    /// Opens it to be read once.
    pub(super) fn source(&self) -> Result<Source<'a>, Error> {
        let reader = (self.open)().map_err(|source| Error::Content { path: self.path.clone(), source })?;
        Ok(Source { reader, path: self.path.clone(), hasher: ChecksumHasher::default(), len: 0, fault: None })
    }
}

impl Source<'_> {
    /// The checksums and the length of what was read.
    pub(super) fn finish(self) -> Result<(Checksums, u64), Error> {
        match self.fault {
            Some(source) => Err(Error::Content { path: self.path, source }),
            None => Ok((self.hasher.finish(), self.len)),
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buf) {
            Ok(count) => {
                self.hasher.update(buf.get(..count).unwrap_or_default());
                self.len += count as u64;
                Ok(count)
            }
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => Err(fault),
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other("it cannot be read"))
            }
        }
    }
}
