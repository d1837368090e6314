//! ext4, edited by the crate `rust-fs-ext4`.

mod descriptor;
mod device;
mod editor;
mod features;
mod fields;
mod geometry;
mod grow;
mod retimed;
mod superblock;
mod times;
mod used;
mod view;

pub use grow::{Grown, grow};
pub use superblock::Superblock;
pub use times::Time;
pub use used::used;
pub use view::Ext4View;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use device::Device;
use editor::{explain, metadata};

use super::{Attributes, Error, FileKind, FsEdit, FsRead, Metadata, TARGET_MAX, TRANSFER_LIMIT};
use crate::disk::{Overlay, Ranges, ReadAt, WriteAt};
use crate::image_path::ImagePath;

/// Content is copied in pieces of this size; the editor commits a piece as one transaction, which
/// has to fit the journal.
const PIECE: usize = 1 << 20;

/// A block that is written takes some transfers: it goes to the journal first, with what says so.
const BYTES_PER_TRANSFER: u64 = 128;

/// An ext4 file system that is edited.
pub struct Ext4 {
    fs: fs_ext4::Filesystem,
}

/// Time and inode generations that are the same on every run.
struct Fixed {
    now: i64,
    generation: AtomicU32,
}

impl fs_ext4::runtime::Runtime for Fixed {
    fn now_unix_seconds(&self) -> i64 {
        self.now
    }
    fn next_inode_generation(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed)
    }
}

impl Ext4 {
    /// Opens the file system in `device` for editing. `now`, in seconds since 1970, is the time of
    /// every change that carries none of its own.
    ///
    /// # Errors
    /// As [`Superblock::read`] and [`Superblock::check_editable`] say, before a byte is written.
    pub fn open(device: impl WriteAt + 'static, now: i64) -> Result<Self, Error> {
        Self::open_for(device, now, 0)
    }

    /// The same for writing so many bytes of files.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for(device: impl WriteAt + 'static, now: i64, bytes: u64) -> Result<Self, Error> {
        let superblock = Superblock::read(&device)?;
        superblock.check_editable(device.len())?;
        superblock.check_time(now)?;
        Self::mount(device, now, TRANSFER_LIMIT.saturating_add(bytes / BYTES_PER_TRANSFER))
    }

    /// Opens the file system in `device` for reading, whatever state it is in: a pending journal is
    /// replayed first, so `device` must be a throw-away overlay.
    ///
    /// # Errors
    /// [`Error::NotThere`], or what the editor cannot read.
    pub fn open_for_reading<D: ReadAt + 'static>(device: Overlay<D>) -> Result<Self, Error> {
        Superblock::read(&device)?;
        Self::mount(device, 0, TRANSFER_LIMIT)
    }

    fn mount(device: impl WriteAt + 'static, now: i64, transfers: u64) -> Result<Self, Error> {
        let device = Arc::new(Device::new(device, transfers));
        // A generation tells two inodes of one number apart; zero is what mkfs leaves.
        let runtime = Arc::new(Fixed { now, generation: AtomicU32::new(1) });
        let fs = fs_ext4::Filesystem::mount_with_runtime(Arc::clone(&device) as _, runtime)
            .map_err(|e| explain("opening the ext4 file system", e))?;
        let journal = journal(&fs).map_err(|e| explain("opening the ext4 journal", e))?;
        device.set_journal_aside(journal);
        Ok(Self { fs })
    }

    /// The inode of `path`, link or not; `None` if a part of it is not there.
    fn find(&self, path: &ImagePath) -> Result<Option<u32>, Error> {
        let mut inode = fs_ext4::path::EXT4_ROOT_INODE;
        for part in path.components() {
            match self.fs.lookup_at(inode, part.as_bytes()) {
                Ok(next) => inode = next,
                Err(fs_ext4::Error::NotFound) => return Ok(None),
                Err(e) => return Err(explain(path, e)),
            }
        }
        Ok(Some(inode))
    }

    fn inode(&self, path: &ImagePath) -> Result<u32, Error> {
        self.find(path)?.ok_or_else(|| Error::path(path, "no such file or directory"))
    }

    /// The directory that is to hold `path`, and the name that it gets there.
    fn place<'a>(&self, path: &'a ImagePath) -> Result<(u32, &'a [u8]), Error> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::path(path, "the root directory cannot be replaced"));
        };
        Ok((self.inode(&parent)?, name.as_bytes()))
    }

    /// Makes room at `path` for a file or link.
    fn vacate(&self, path: &ImagePath) -> Result<(), Error> {
        match self.metadata(path)? {
            None => Ok(()),
            Some(Metadata { kind: FileKind::Directory, .. }) => {
                Err(Error::path(path, "is a directory, and a file is to be put in its place"))
            }
            Some(_) => self.remove(path),
        }
    }

    fn set_attributes(&self, inode: u32, path: &ImagePath, attributes: Attributes) -> Result<(), Error> {
        let Attributes { mode, uid, gid, mtime } = attributes;
        self.fs
            .apply_chown_ino(inode, uid, gid)
            // after the owner: changing that clears set-user-id
            .and_then(|()| self.fs.apply_chmod_ino(inode, mode))
            .and_then(|()| self.fs.apply_utimens_ino(inode, mtime, 0, mtime, 0))
            .map_err(|e| explain(path, e))
    }
}

impl FsRead for Ext4 {
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        let Some(number) = self.find(path)? else { return Ok(None) };
        let inode = self.fs.stat_ino(number).map_err(|e| explain(path, e))?;
        Ok(Some(metadata(&inode)))
    }

    fn entries(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        let mut entries = self.fs.read_dir_ino(self.inode(path)?).map_err(|e| explain(path, e))?;
        entries.retain(|entry| entry.name != b"." && entry.name != b"..");
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let told = entries.into_iter().map(|entry| {
            let inode = self.fs.stat_ino(entry.inode).map_err(|e| explain(path, e))?;
            Ok((entry.name, metadata(&inode)))
        });
        told.collect()
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let number = self.inode(path)?;
        let inode = self.fs.stat_ino(number).map_err(|e| explain(path, e))?;
        let mut put =
            |bytes: &[u8]| out.write_all(bytes).map_err(|e| Error::io(format!("copying {path}"), e));
        if inode.mode >> 12 == 0o12 {
            if inode.size > TARGET_MAX {
                return Err(Error::too_large(path, inode.size, TARGET_MAX));
            }
            return put(&self.fs.read_link_ino(number).map_err(|e| explain(path, e))?);
        }
        let mut piece = vec![0; inode.size.min(PIECE as u64) as usize];
        let mut at = 0;
        while at < inode.size {
            let n = self.fs.read_ino(number, at, &mut piece).map_err(|e| explain(path, e))?;
            if n == 0 {
                return Err(Error::corrupt(path, "it ends before its length says"));
            }
            put(&piece[..n])?;
            at += n as u64;
        }
        Ok(())
    }

    /// Reads no more of the file than that: a log may be longer than memory.
    fn read_tail(&self, path: &ImagePath, limit: usize) -> Result<Vec<u8>, Error> {
        let number = self.inode(path)?;
        let len = match self.metadata(path)? {
            Some(Metadata { kind: FileKind::File, len, .. }) => len,
            _ => return Err(Error::path(path, "is not a file")),
        };
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(limit)];
        let start = len - bytes.len() as u64;
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = start + filled as u64;
            match self.fs.read_ino(number, at, rest).map_err(|e| explain(path, e))? {
                0 => return Err(Error::corrupt(path, "it ends before its length says")),
                n => filled += n,
            }
        }
        Ok(bytes)
    }
}

impl FsEdit for Ext4 {
    fn write(&self, path: &ImagePath, content: &mut dyn Read, attributes: Attributes) -> Result<(), Error> {
        self.vacate(path)?;
        let (parent, name) = self.place(path)?;
        let inode = self.fs.apply_create_at(parent, name, attributes.mode).map_err(|e| explain(path, e))?;
        // Grows with what there is to read: most files are far smaller than a piece.
        let mut piece = Vec::new();
        let mut at = 0;
        loop {
            piece.clear();
            let n = content
                .take(PIECE as u64)
                .read_to_end(&mut piece)
                .map_err(|e| Error::io(format!("reading what {path} is to hold"), e))?;
            if n == 0 {
                break;
            }
            self.fs.apply_pwrite_ino(inode, at, &piece).map_err(|e| explain(path, e))?;
            at += n as u64;
        }
        self.set_attributes(inode, path, attributes)
    }

    fn create_dir(&self, path: &ImagePath, attributes: Attributes) -> Result<(), Error> {
        let (parent, name) = self.place(path)?;
        let inode = self.fs.apply_mkdir_at(parent, name, attributes.mode).map_err(|e| explain(path, e))?;
        self.set_attributes(inode, path, attributes)
    }

    fn symlink(&self, path: &ImagePath, target: &str) -> Result<(), Error> {
        self.vacate(path)?;
        self.place(path)?;
        self.fs.apply_symlink(target, path.as_str()).map(drop).map_err(|e| explain(path, e))
    }

    fn remove(&self, path: &ImagePath) -> Result<(), Error> {
        let found = self.metadata(path)?.ok_or_else(|| Error::path(path, "no such file or directory"))?;
        let (parent, name) = self.place(path)?;
        match found.kind {
            FileKind::Directory => self.fs.apply_rmdir_at(parent, name),
            _ => self.fs.apply_unlink_at(parent, name),
        }
        .map_err(|e| explain(path, e))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.fs.finish().map_err(|e| explain("closing the ext4 file system", e))
    }
}

/// Where the journal lies, in bytes. Nowhere, if there is none or it is mapped as ext3 did.
fn journal(fs: &fs_ext4::Filesystem) -> fs_ext4::Result<Ranges> {
    if fs.sb.journal_inode == 0 {
        return Ok(Ranges::new());
    }
    let (inode, _) = fs.read_inode_verified(fs.sb.journal_inode)?;
    if !inode.has_extents() {
        return Ok(Ranges::new());
    }
    let block = u64::from(fs.sb.block_size());
    let extents = fs_ext4::extent::collect_all(&inode.block, fs.dev.as_ref(), fs.sb.block_size())?;
    let range = |first: u64, blocks: u16| {
        Some(first.checked_mul(block)?..first.checked_add(blocks.into())?.checked_mul(block)?)
    };
    let ranges: Option<Ranges> = extents.iter().map(|e| range(e.physical_block, e.length)).collect();
    ranges.ok_or(fs_ext4::Error::CorruptExtentTree("the journal lies outside the file system"))
}
