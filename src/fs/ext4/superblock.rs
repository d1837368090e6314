//! The superblock of an ext4 file system, and whether the file system may be edited.
//!
//! Read by hand, and before the editor opens the file system: on opening it replays a pending
//! journal by itself. This is the one place that reads it; everybody else asks for its fields.

use std::ops::Range;

use super::super::Error;
use super::features::{self, Features};
use super::fields::{Field, field, halves};
use super::times;
use crate::disk::ReadAt;

/// Where the superblock begins, whatever the block size.
pub(super) const OFFSET: u64 = 1024;
pub(super) const LEN: usize = 1024;
const EXT: u64 = 0xef53;
pub(super) const STATE_VALID: u64 = 1;
const STATE_ERRORS: u64 = 2;
const STATE_ORPHANS: u64 = 4;
// `super.rst`
pub(super) const BLOCKS: Field = halves(0x4, 0x150, 4);
pub(super) const FREE_BLOCKS: Field = halves(0xc, 0x158, 4);
const FIRST_BLOCK: Field = field(0x14, 4);
/// The block size is 1 KiB, doubled as often.
const BLOCK_SHIFT: Field = field(0x18, 4);
const BLOCKS_PER_GROUP: Field = field(0x20, 4);
const INODES_PER_GROUP: Field = field(0x28, 4);
const MAGIC: Field = field(0x38, 2);
pub(super) const STATE: Field = field(0x3a, 2);
const REVISION: Field = field(0x4c, 4);
const INODE_SIZE: Field = field(0x58, 2);
const COMPAT: Field = field(0x5c, 4);
const INCOMPAT: Field = field(0x60, 4);
const RO_COMPAT: Field = field(0x64, 4);
/// Blocks behind the descriptors that are kept for more of them.
pub(super) const RESERVED_FOR_DESCRIPTORS: Field = field(0xce, 2);
const JOURNAL_INODE: Field = field(0xe0, 4);
const LAST_ORPHAN: Field = field(0xe8, 4);
const DESCRIPTOR_SIZE: Field = field(0xfe, 2);
pub(super) const BACKUP_GROUPS: [Field; 2] = [field(0x24c, 4), field(0x250, 4)];
const CHECKSUM_SEED: Field = field(0x270, 4);
pub(super) const UUID: Range<usize> = 0x68..0x78;
const LABEL: Range<usize> = 0x78..0x88;

/// The upper half of an inode's checksum is in its bytes 0x82 and 0x83.
const SMALLEST_WITH_CHECKSUM: u64 = 0x84;

/// What a superblock says of its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
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
    /// The block that the first group begins with.
    pub(super) first_block: u64,
    pub(super) blocks_per_group: u64,
    pub(super) inodes_per_group: u64,
    /// Bytes in a group descriptor.
    pub(super) descriptor_size: u64,
    /// Blocks behind the descriptors that are kept for more of them.
    pub(super) reserved: u64,
    /// The groups with backups, where `sparse_super2` has them named.
    pub(super) backup_groups: [u64; 2],
    /// What checksums begin with, where there are any.
    pub(super) checksum_seed: Option<u32>,
    pub(super) features: Features,
    state: u64,
    last_orphan: u64,
    journal_inode: u64,
}

fn absent(why: &str) -> Error {
    Error::NotThere { wanted: "ext4", why: why.to_owned() }
}

/// The bytes of the superblock in `device`, whatever they are.
///
/// # Errors
/// [`Error::NotThere`] where it is too small for one.
pub(super) fn raw(device: &dyn ReadAt) -> Result<[u8; LEN], Error> {
    if device.len() < OFFSET + LEN as u64 {
        return Err(absent("the partition is smaller than a superblock"));
    }
    let mut raw = [0; LEN];
    device.read_at(OFFSET, &mut raw).map_err(|e| Error::io("reading the ext4 superblock", e))?;
    Ok(raw)
}

impl Superblock {
    /// Reads the superblock of the file system in `device`.
    ///
    /// # Errors
    /// [`Error::NotThere`] if there is none.
    pub fn read(device: &dyn ReadAt) -> Result<Self, Error> {
        let raw = raw(device)?;
        let bits = |field: Field| field.get(&raw, false) as u32;
        let features =
            Features { compat: bits(COMPAT), incompat: bits(INCOMPAT), ro_compat: bits(RO_COMPAT) };
        let wide = features.has(features::WIDE);
        let get = |field: Field| field.get(&raw, wide);
        if get(MAGIC) != EXT {
            return Err(absent("its superblock has no magic number"));
        }
        // 1 KiB to 64 KiB is all that the kernel knows
        let shift = Some(get(BLOCK_SHIFT))
            .filter(|shift| *shift <= 6)
            .ok_or_else(|| absent("its block size is impossible"))?;
        let label = raw[LABEL].split(|b| *b == 0).next().unwrap_or_default();
        Ok(Self {
            label: String::from_utf8_lossy(label).into_owned(),
            block_size: 1024 << shift,
            blocks: get(BLOCKS),
            free_blocks: get(FREE_BLOCKS),
            // the first revision had but one size
            inode_size: if get(REVISION) == 0 { 128 } else { get(INODE_SIZE) },
            first_block: get(FIRST_BLOCK),
            blocks_per_group: get(BLOCKS_PER_GROUP),
            inodes_per_group: get(INODES_PER_GROUP),
            descriptor_size: if wide { get(DESCRIPTOR_SIZE) } else { 32 },
            reserved: get(RESERVED_FOR_DESCRIPTORS),
            backup_groups: BACKUP_GROUPS.map(get),
            checksum_seed: features.has(features::METADATA_CSUM).then(|| {
                // of the UUID, unless the superblock keeps the seed of an older one
                match features.has(features::CSUM_SEED) {
                    true => bits(CHECKSUM_SEED),
                    false => !crc32c::crc32c(&raw[UUID]),
                }
            }),
            features,
            state: get(STATE),
            last_orphan: get(LAST_ORPHAN),
            journal_inode: get(JOURNAL_INODE),
        })
    }

    /// Refuses a file system that must not be edited: pending, damaged, larger than its partition
    /// of `len` bytes, or with features that the editor does not keep right.
    ///
    /// # Errors
    /// [`Error::NotClean`], [`Error::Incompatible`], [`Error::Corrupt`]
    pub fn check_editable(&self, len: u64) -> Result<(), Error> {
        let unclean = |why| Err(Error::NotClean { fs: "ext4", why, repair: "e2fsck" });
        if self.features.has(features::NEEDS_RECOVERY) {
            return unclean("its journal holds changes that were never written back");
        }
        if self.state & STATE_ERRORS != 0 {
            return unclean("the kernel found errors in it");
        }
        if self.state & STATE_VALID == 0 {
            return unclean("it was not unmounted");
        }
        let orphans = self.state & STATE_ORPHANS != 0 || self.features.has(features::ORPHAN_PRESENT);
        if self.last_orphan != 0 || orphans {
            return unclean("files that were deleted while open still wait to be freed");
        }
        let mut names = self.features.refused();
        if self.features.has(features::HAS_JOURNAL) && self.journal_inode == 0 {
            names.push("a journal on another device".into());
        }
        if self.features.has(features::METADATA_CSUM) && self.inode_size < SMALLEST_WITH_CHECKSUM {
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
        let is_newer =
            self.features.incompat & !EXT3_INCOMPAT != 0 || self.features.ro_compat & !EXT3_RO_COMPAT != 0;
        match () {
            () if self.features.has(features::JOURNAL_DEV) => "jbd",
            () if is_newer => "ext4",
            () if self.features.has(features::HAS_JOURNAL) => "ext3",
            () => "ext2",
        }
    }

    /// Refuses a time that inodes of this file system cannot keep.
    ///
    /// # Errors
    /// [`Error::Time`]
    pub(crate) fn check_time(&self, now: i64) -> Result<(), Error> {
        let kept = times::kept(self.inode_size);
        if kept.contains(&now) {
            return Ok(());
        }
        Err(Error::Time { seconds: now, first: *kept.start(), last: *kept.end() })
    }
}
