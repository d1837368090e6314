//! Where the parts of an ext4 file system lie: what its superblock and group descriptors say.
//!
//! Offsets of fields are those of the kernel's `Documentation/filesystems/ext4`.

use super::super::Error;
use super::superblock::Superblock;
use crate::disk::ReadAt;

const SUPERBLOCK: u64 = 1024;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
const RO_COMPAT_GDT_CSUM: u32 = 0x10;
const RO_COMPAT_BIGALLOC: u32 = 0x200;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
/// A group whose bitmap was never written: of its blocks only those of its own tables are used.
const BLOCK_UNINIT: u16 = 0x2;

/// mke2fs makes no smaller groups; of smaller ones there could be more descriptors than memory holds.
const FEWEST_PER_GROUP: u64 = 256;

/// What of a superblock and its group descriptors tells where blocks are.
pub(super) struct Geometry {
    pub block: u64,
    pub blocks: u64,
    pub first: u64,
    pub per_group: u64,
    pub groups: u64,
    pub descriptor: usize,
    descriptor_blocks: u64,
    reserved: u64,
    pub inode_table_blocks: u64,
    wide: bool,
    pub checksums: bool,
    backups: Backups,
    pub inode_size: u64,
    pub inodes_per_group: u64,
    /// What the checksums of inodes begin with, where they have any.
    pub checksum_seed: Option<u32>,
}

/// Which groups hold a copy of the superblock and of the descriptors.
enum Backups {
    All,
    /// Groups 0, 1 and powers of 3, 5 and 7.
    Sparse,
    /// Group 0 and these.
    Named([u64; 2]),
}

pub(super) fn damaged(why: impl Into<String>) -> Error {
    Error::Corrupt { path: "the ext4 block groups".into(), why: why.into() }
}

pub(super) struct Group {
    pub block_bitmap: u64,
    pub inode_bitmap: u64,
    pub inode_table: u64,
    pub uninitialised: bool,
}

impl Group {
    pub(super) fn read(geometry: &Geometry, raw: &[u8]) -> Self {
        let u32_at =
            |at: usize| u64::from(u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]));
        let block = |low: usize, high: usize| {
            let high = if geometry.wide { u32_at(high) << 32 } else { 0 };
            high | u32_at(low)
        };
        Self {
            block_bitmap: block(0x0, 0x20),
            inode_bitmap: block(0x4, 0x24),
            inode_table: block(0x8, 0x28),
            uninitialised: u16::from_le_bytes([raw[0x12], raw[0x13]]) & BLOCK_UNINIT != 0,
        }
    }
}

impl Geometry {
    pub(super) fn read(device: &dyn ReadAt) -> Result<Self, Error> {
        let known = Superblock::read(device)?;
        let mut raw = [0; 1024];
        device.read_at(SUPERBLOCK, &mut raw).map_err(|e| Error::io("reading the ext4 superblock", e))?;
        let u16_at = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        let (compat, incompat, ro_compat) = (u32_at(0x5c), u32_at(0x60), u32_at(0x64));
        let unfit = |features: &str| Err(Error::Incompatible { fs: "ext4", features: features.into() });
        if incompat & INCOMPAT_RECOVER != 0 {
            let why = "its journal holds changes that were never written back";
            return Err(Error::NotClean { fs: "ext4", why, repair: "e2fsck" });
        }
        if ro_compat & RO_COMPAT_BIGALLOC != 0 {
            return unfit("bigalloc");
        }
        if incompat & INCOMPAT_META_BG != 0 {
            return unfit("meta_bg");
        }
        if incompat & INCOMPAT_JOURNAL_DEV != 0 {
            return unfit("journal_dev");
        }
        let (block, blocks) = (known.block_size, known.blocks);
        let first = u64::from(u32_at(0x14));
        let per_group = u64::from(u32_at(0x20));
        let wide_descriptors = incompat & INCOMPAT_64BIT != 0;
        let descriptor = if wide_descriptors { usize::from(u16_at(0xfe)) } else { 32 };
        let inode_size = if u32_at(0x4c) == 0 { 128 } else { u64::from(u16_at(0x58)) };
        let inodes_per_group = u64::from(u32_at(0x28));
        let checksum_seed = (ro_compat & RO_COMPAT_METADATA_CSUM != 0).then(|| {
            // of the UUID, unless the superblock keeps the seed of an older one
            if incompat & INCOMPAT_CSUM_SEED != 0 { u32_at(0x270) } else { !crc32c::crc32c(&raw[0x68..0x78]) }
        });
        if first > 1
            || !(FEWEST_PER_GROUP..=8 * block).contains(&per_group)
            || blocks <= first
            || blocks.checked_mul(block).is_none_or(|bytes| bytes > device.len())
            || !(32..=1024).contains(&descriptor)
            || !descriptor.is_power_of_two()
            || (wide_descriptors && descriptor < 64)
            || !(128..=block).contains(&inode_size)
            || !inode_size.is_power_of_two()
            || inodes_per_group == 0
        {
            return Err(damaged("the superblock is inconsistent"));
        }
        let groups = (blocks - first).div_ceil(per_group);
        let descriptor_blocks = (groups * descriptor as u64).div_ceil(block);
        let backups = match () {
            () if compat & COMPAT_SPARSE_SUPER2 != 0 => {
                Backups::Named([u64::from(u32_at(0x24c)), u64::from(u32_at(0x250))])
            }
            () if ro_compat & RO_COMPAT_SPARSE_SUPER != 0 => Backups::Sparse,
            () => Backups::All,
        };
        Ok(Self {
            block,
            blocks,
            first,
            per_group,
            groups,
            descriptor,
            descriptor_blocks,
            reserved: u64::from(u16_at(0xce)),
            inode_table_blocks: (inodes_per_group * inode_size).div_ceil(block),
            wide: wide_descriptors,
            checksums: ro_compat & (RO_COMPAT_GDT_CSUM | RO_COMPAT_METADATA_CSUM) != 0,
            backups,
            inode_size,
            inodes_per_group,
            checksum_seed,
        })
    }

    /// The descriptors of all groups, from the block after the superblock on.
    fn descriptors(&self, device: &dyn ReadAt) -> Result<Vec<u8>, Error> {
        let at = (self.first + 1) * self.block;
        let len = self.groups * self.descriptor as u64;
        if at.checked_add(len).is_none_or(|end| end > device.len()) {
            return Err(damaged("there is no space for their descriptors"));
        }
        let mut raw = vec![0; len as usize];
        device.read_at(at, &mut raw).map_err(|e| Error::io("reading the ext4 group descriptors", e))?;
        Ok(raw)
    }

    /// Blocks at the start of a group that hold the superblock, the descriptors and the room for more.
    pub(super) fn head_blocks(&self, group: u64) -> u64 {
        let has_backup = group == 0
            || match self.backups {
                Backups::All => true,
                Backups::Sparse => [3, 5, 7].iter().any(|base| is_power(group, *base)),
                Backups::Named(named) => named.contains(&group),
            };
        if has_backup { 1 + self.descriptor_blocks + self.reserved } else { 0 }
    }

    /// The descriptors of all groups, read.
    pub(super) fn group_list(&self, device: &dyn ReadAt) -> Result<Vec<Group>, Error> {
        let raw = self.descriptors(device)?;
        Ok(raw.chunks_exact(self.descriptor).map(|raw| Group::read(self, raw)).collect())
    }

    pub(super) fn bytes(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        start * self.block..end * self.block
    }
}

/// Whether `n` is a power of `base`, 1 included.
fn is_power(mut n: u64, base: u64) -> bool {
    while n > 1 && n.is_multiple_of(base) {
        n /= base;
    }
    n == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_at_powers_of_three_five_and_seven() {
        let with: Vec<u64> = (1..100).filter(|n| [3, 5, 7].iter().any(|b| is_power(*n, *b))).collect();
        assert_eq!(with, [1, 3, 5, 7, 9, 25, 27, 49, 81]);
    }
}
