//! Where the parts of an ext4 file system lie: what its superblock and group descriptors say.

use super::super::Error;
use super::features;
use super::fields::{Field, field, halves};
use super::superblock::Superblock;
use crate::disk::ReadAt;

// `group_descr.rst`
const BLOCK_BITMAP: Field = halves(0x0, 0x20, 4);
const INODE_BITMAP: Field = halves(0x4, 0x24, 4);
const INODE_TABLE: Field = halves(0x8, 0x28, 4);
const FLAGS: Field = field(0x12, 2);

/// A group whose bitmap was never written: of its blocks only those of its own tables are used.
const BLOCK_UNINIT: u64 = 0x2;

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
        let get = |field: Field| field.get(raw, geometry.wide);
        Self {
            block_bitmap: get(BLOCK_BITMAP),
            inode_bitmap: get(INODE_BITMAP),
            inode_table: get(INODE_TABLE),
            uninitialised: get(FLAGS) & BLOCK_UNINIT != 0,
        }
    }
}

impl Geometry {
    pub(super) fn read(device: &dyn ReadAt) -> Result<Self, Error> {
        let superblock = Superblock::read(device)?;
        let has = |feature| superblock.features.has(feature);
        if has(features::NEEDS_RECOVERY) {
            let why = "its journal holds changes that were never written back";
            return Err(Error::NotClean { fs: "ext4", why, repair: "e2fsck" });
        }
        let unfit = [features::BIGALLOC, features::META_BG, features::JOURNAL_DEV];
        if let Some((word, bit)) = unfit.into_iter().find(|feature| has(*feature)) {
            return Err(Error::Incompatible { fs: "ext4", features: features::named(word, bit) });
        }
        let Superblock { block_size: block, blocks, inode_size, inodes_per_group, reserved, .. } = superblock;
        let (first, per_group) = (superblock.first_block, superblock.blocks_per_group);
        let (wide, descriptor) = (has(features::WIDE), superblock.descriptor_size as usize);
        if first > 1
            || !(FEWEST_PER_GROUP..=8 * block).contains(&per_group)
            || blocks <= first
            || blocks.checked_mul(block).is_none_or(|bytes| bytes > device.len())
            || !(32..=1024).contains(&descriptor)
            || !descriptor.is_power_of_two()
            || (wide && descriptor < 64)
            || !(128..=block).contains(&inode_size)
            || !inode_size.is_power_of_two()
            || inodes_per_group == 0
        {
            return Err(damaged("the superblock is inconsistent"));
        }
        let groups = (blocks - first).div_ceil(per_group);
        let descriptor_blocks = (groups * descriptor as u64).div_ceil(block);
        let backups = match () {
            () if has(features::SPARSE_SUPER2) => Backups::Named(superblock.backup_groups),
            () if has(features::SPARSE_SUPER) => Backups::Sparse,
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
            reserved,
            inode_table_blocks: (inodes_per_group * inode_size).div_ceil(block),
            wide,
            checksums: has(features::GDT_CSUM) || has(features::METADATA_CSUM),
            backups,
            inode_size,
            inodes_per_group,
            checksum_seed: superblock.checksum_seed,
        })
    }

    /// The descriptors of all groups, from the block after the superblock on.
    pub(super) fn group_list(&self, device: &dyn ReadAt) -> Result<Vec<Group>, Error> {
        let at = (self.first + 1) * self.block;
        let len = self.groups * self.descriptor as u64;
        if at.checked_add(len).is_none_or(|end| end > device.len()) {
            return Err(damaged("there is no space for their descriptors"));
        }
        let mut raw = vec![0; len as usize];
        device.read_at(at, &mut raw).map_err(|e| Error::io("reading the ext4 group descriptors", e))?;
        Ok(raw.chunks_exact(self.descriptor).map(|raw| Group::read(self, raw)).collect())
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
