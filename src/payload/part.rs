//! The files that nodes get.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::error::{Error, Result};
use crate::apt::Plan;
use crate::base::Fetcher;
use crate::catalog::{Digest, Hasher};
use crate::cluster::Role;
use crate::image_path::ImagePath;
use crate::node_paths::PAYLOAD;
use crate::oci::{self, Archive, Image};

/// What is laid into the root file systems of the nodes of each role.
#[derive(Debug)]
pub struct Payload {
    pub(super) parts: BTreeMap<Role, Part>,
}

/// What the nodes of one role get.
#[derive(Debug)]
pub struct Part {
    /// The files, in the order of their paths.
    pub files: Vec<PayloadFile>,
    /// What its packages change on the base.
    pub plan: Plan,
    /// The images in its archive.
    pub images: Vec<Image>,
}

/// A file that is laid into a root file system, also in the place of one that the recipe has there. It is root's, and
/// everybody may read it.
#[derive(Debug)]
pub struct PayloadFile {
    /// Its path.
    pub path: ImagePath,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// Made for this payload.
    Bytes(Vec<u8>),
    /// As it is in the cache.
    Cached { path: PathBuf, digest: Digest, len: u64 },
    /// Put together of what is in the cache.
    Archive(Archive),
}

impl Payload {
    /// What the nodes of this role get; `None` where no node of it was asked for.
    #[must_use]
    pub fn part(&self, role: Role) -> Option<&Part> {
        self.parts.get(&role)
    }
}

impl Part {
    /// The room that its files take in a file system of blocks of this size, in bytes, without that of inodes and
    /// directories.
    #[must_use]
    pub fn room(&self, block: u64) -> u64 {
        self.files.iter().map(|file| file.size().next_multiple_of(block)).sum()
    }
}

impl PayloadFile {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Cached { len, .. } => *len,
            Content::Archive(archive) => archive.size(),
        }
    }

    /// Writes its content, and verifies on the way what is read from the cache.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the cache no longer has what was verified; what was written then must not be used.
    pub fn write(&self, fetcher: &Fetcher<'_>, to: &mut dyn Write) -> Result<()> {
        match &self.content {
            Content::Bytes(bytes) => to.write_all(bytes).map_err(oci::Error::Write)?,
            Content::Archive(archive) => archive.write(fetcher, to)?,
            Content::Cached { path, digest, len } => {
                let failed = |source| Error::Cache { path: path.clone(), source };
                let mut hasher = Hasher::default();
                let mut file = File::open(path).map_err(failed)?.take(len + 1);
                let copied =
                    io::copy(&mut Tee { file: &mut file, hasher: &mut hasher }, to).map_err(failed)?;
                if copied != *len || hasher.finish() != *digest {
                    return Err(Error::Damaged { path: path.clone() });
                }
            }
        }
        Ok(())
    }
}

/// Hashes what is read.
struct Tee<'a, R> {
    file: R,
    hasher: &'a mut Hasher,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buf)?;
        self.hasher.update(&buf[..count]);
        Ok(count)
    }
}

/// A path in the folder of the payload.
pub(super) fn place(name: &str) -> Result<ImagePath> {
    Ok(ImagePath::new(format!("{PAYLOAD}/{name}"))?)
}
