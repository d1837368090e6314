//! `.img`: the card's bytes in a file. A clone that shares the base's blocks where the file system
//! can make one, else a sparse copy.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Format;
use crate::disk::{Patch, cut};
use crate::io::AtomicFile;
use crate::io::chunk::Chunk;

/// Longest write of a patch in bytes.
const RUN: u64 = 1 << 20;

/// A raw image being written.
pub(super) struct Image {
    temp: AtomicFile,
}

impl Image {
    /// An image without data, to be filled by [`Image::chunk`].
    pub(super) fn new(temp: AtomicFile) -> Self {
        Self { temp }
    }

    /// An image that shares all of the base's blocks; `None` if the file system cannot do that.
    pub(super) fn cloned(temp: AtomicFile, base: &File) -> io::Result<Option<Self>> {
        Ok(clone(temp.file(), base)?.then_some(Self { temp }))
    }

    /// Writes the base's data, and only that: the rest stays a hole.
    pub(super) fn chunk(&mut self, chunk: &Chunk) -> io::Result<()> {
        chunk.extents().try_for_each(|(offset, bytes)| self.temp.write(offset, bytes))
    }

    /// Sets the size, holes included.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.temp.file().set_len(len)
    }

    /// Makes it `len` bytes long, which the base's bytes are never more than, writes what the patch changes and puts
    /// the image under its final name, durably.
    pub(super) fn keep(mut self, patch: &Patch, len: u64) -> io::Result<File> {
        self.set_len(len)?;
        let mut bytes = vec![0; RUN as usize];
        for run in patch.ranges().iter().flat_map(|range| cut(range, RUN)) {
            let part = &mut bytes[..(run.end - run.start) as usize];
            patch.apply(run.start, part)?;
            self.temp.write_cached(run.start, part)?;
        }
        self.temp.keep()
    }
}

/// Whether images in `dir` can share the blocks of files in the place of `base`.
pub(super) fn can_clone(base: &File, dir: &Path) -> io::Result<bool> {
    clone(AtomicFile::within(dir, Format::Raw.file_name("clone"))?.file(), base)
}

/// Whether images in `dir` could share the blocks of a file made in `cache`.
pub(super) fn could_clone(cache: &Path, dir: &Path) -> io::Result<bool> {
    use std::io::Write;
    let mut base = tempfile::tempfile_in(cache)?;
    base.write_all(&[1; 64 * 1024])?;
    can_clone(&base, dir)
}

#[cfg(target_os = "linux")]
fn clone(to: &File, from: &File) -> io::Result<bool> {
    use rustix::io::Errno;
    // ioctl_ficlonerange(2): each of these says that it cannot be done here, none that it failed.
    const CANNOT: [Errno; 7] =
        [Errno::OPNOTSUPP, Errno::XDEV, Errno::INVAL, Errno::NOTTY, Errno::NOSYS, Errno::PERM, Errno::BADF];
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(e) if CANNOT.contains(&e) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn clone(_to: &File, _from: &File) -> io::Result<bool> {
    Ok(false)
}
