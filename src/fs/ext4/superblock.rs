//! The few fields of an ext4 superblock that decide whether the file system may be edited.
//!
//! Read by hand, and before the editor opens the file system: on opening it replays a pending
//! journal by itself. Field offsets are those of the kernel's `Documentation/filesystems/ext4/super.rst`.

use super::super::Error;
use super::{features, times};
use crate::disk::ReadAt;

/// Where the superblock begins, whatever the block size.
const OFFSET: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;
const STATE_VALID: u16 = 1;
const STATE_ERRORS: u16 = 2;
const STATE_ORPHANS: u16 = 4;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const RO_COMPAT_ORPHAN_PRESENT: u32 = 0x10000;
const COMPAT_HAS_JOURNAL: u32 = 0x4;
/// The upper half of an inode's checksum is in its bytes 0x82 and 0x83.
const SMALLEST_WITH_CHECKSUM: u64 = 0x84;

/// What a superblock says of its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The volume label, up to the first NUL.
    pub label: String,
    /// Bytes in a block.
    pub block_size: u64,
    /// Blocks in the file system.
    pub blocks: u64,
    /// Blocks that hold nothing.
    pub free_blocks: u64,
    /// Bytes in an inode.
    pub inode_size: u64,
    state: u16,
    last_orphan: u32,
    journal_inode: u32,
    pub(super) compat: u32,
    pub(super) incompat: u32,
    pub(super) ro_compat: u32,
}

impl Superblock {
    /// Reads the superblock of the file system in `device`.
    ///
    /// # Errors
    /// [`Error::NotThere`] if there is none.
    pub fn read(device: &dyn ReadAt) -> Result<Self, Error> {
        let absent = |why: &str| Error::NotThere { wanted: "ext4", why: why.to_owned() };
        if device.len() < OFFSET + LEN as u64 {
            return Err(absent("the partition is smaller than a superblock"));
        }
        let mut raw = [0; LEN];
        device.read_at(OFFSET, &mut raw).map_err(|e| Error::io("reading the ext4 superblock", e))?;
        let u16_at = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        if u16_at(0x38) != MAGIC {
            return Err(absent("its superblock has no magic number"));
        }
        let incompat = u32_at(0x60);
        let high = |at: usize| if incompat & INCOMPAT_64BIT != 0 { u64::from(u32_at(at)) << 32 } else { 0 };
        // 1 KiB to 64 KiB is all that the kernel knows
        let shift =
            Some(u32_at(0x18)).filter(|s| *s <= 6).ok_or_else(|| absent("its block size is impossible"))?;
        let label = raw[0x78..0x88].split(|b| *b == 0).next().unwrap_or_default();
        Ok(Self {
            label: String::from_utf8_lossy(label).into_owned(),
            block_size: 1024 << shift,
            blocks: high(0x150) | u64::from(u32_at(0x04)),
            free_blocks: high(0x158) | u64::from(u32_at(0x0c)),
            // the first revision had but one size
            inode_size: if u32_at(0x4c) == 0 { 128 } else { u64::from(u16_at(0x58)) },
            state: u16_at(0x3a),
            last_orphan: u32_at(0xe8),
            journal_inode: u32_at(0xe0),
            compat: u32_at(0x5c),
            incompat,
            ro_compat: u32_at(0x64),
        })
    }

    /// Refuses a file system that must not be edited: pending, damaged, larger than its partition
    /// of `len` bytes, or with features that the editor does not keep right.
    ///
    /// # Errors
    /// [`Error::NotClean`], [`Error::Incompatible`], [`Error::Corrupt`]
    pub fn check_editable(&self, len: u64) -> Result<(), Error> {
        let unclean = |why| Err(Error::NotClean { fs: "ext4", why, repair: "e2fsck" });
        if self.incompat & INCOMPAT_RECOVER != 0 {
            return unclean("its journal holds changes that were never written back");
        }
        if self.state & STATE_ERRORS != 0 {
            return unclean("the kernel found errors in it");
        }
        if self.state & STATE_VALID == 0 {
            return unclean("it was not unmounted");
        }
        let orphans = self.state & STATE_ORPHANS != 0 || self.ro_compat & RO_COMPAT_ORPHAN_PRESENT != 0;
        if self.last_orphan != 0 || orphans {
            return unclean("files that were deleted while open still wait to be freed");
        }
        let mut names = features::refused(self);
        if self.compat & COMPAT_HAS_JOURNAL != 0 && self.journal_inode == 0 {
            names.push("a journal on another device".into());
        }
        if self.ro_compat & RO_COMPAT_METADATA_CSUM != 0 && self.inode_size < SMALLEST_WITH_CHECKSUM {
            names.push(format!("metadata_csum in inodes of {} bytes", self.inode_size));
        }
        if !names.is_empty() {
            return Err(Error::Incompatible { fs: "ext4", features: names.join(", ") });
        }
        if self.blocks.checked_mul(self.block_size).is_none_or(|bytes| bytes > len) {
            let why = format!(
                "it has {} blocks of {} bytes, its partition only {len} bytes",
                self.blocks, self.block_size
            );
            return Err(Error::Corrupt { path: "the ext4 superblock".into(), why });
        }
        Ok(())
    }

    /// What the features make of it: `ext2`, `ext3`, `ext4`, or `jbd` for a journal alone.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        // a file system with a feature beyond these is none for the ext3 of old
        const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
        const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
        let is_newer = self.incompat & !EXT3_INCOMPAT != 0 || self.ro_compat & !EXT3_RO_COMPAT != 0;
        match () {
            () if self.incompat & INCOMPAT_JOURNAL_DEV != 0 => "jbd",
            () if is_newer => "ext4",
            () if self.compat & COMPAT_HAS_JOURNAL != 0 => "ext3",
            () => "ext2",
        }
    }

    /// Refuses a time that inodes of this file system cannot keep.
    ///
    /// # Errors
    /// [`Error::Time`]
    pub fn check_time(&self, now: i64) -> Result<(), Error> {
        let kept = times::kept(self.inode_size);
        if kept.contains(&now) {
            return Ok(());
        }
        Err(Error::Time { seconds: now, first: *kept.start(), last: *kept.end() })
    }
}
