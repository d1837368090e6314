//! Where the parts of an ext4 file system lie: what its superblock and group descriptors say.

use super::super::Error;
use super::features::{self, Feature};
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

/// An ext4 file system whose superblock says where the parts of its groups are.
pub(super) struct Geometry {
    pub(super) superblock: Superblock,
    /// How many groups there are.
    pub(super) groups: u64,
}

pub(super) fn damaged(why: impl Into<String>) -> Error {
    Error::Corrupt { path: "the ext4 block groups".into(), why: why.into() }
}

pub(super) struct Group {
    pub(super) block_bitmap: u64,
    pub(super) inode_bitmap: u64,
    pub(super) inode_table: u64,
    pub(super) uninitialised: bool,
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
        let Superblock { block_size, blocks, first_block, blocks_per_group, .. } = superblock;
        let Superblock { descriptor_size, inode_size, inodes_per_group, .. } = superblock;
        if first_block > 1
            || !(FEWEST_PER_GROUP..=8 * block_size).contains(&blocks_per_group)
            || blocks <= first_block
            || blocks.checked_mul(block_size).is_none_or(|bytes| bytes > device.len())
            || !(32..=1024).contains(&descriptor_size)
            || !descriptor_size.is_power_of_two()
            || (has(features::WIDE) && descriptor_size < 64)
            || !(128..=block_size).contains(&inode_size)
            || !inode_size.is_power_of_two()
            || inodes_per_group == 0
        {
            return Err(damaged("the superblock is inconsistent"));
        }
        Ok(Self { groups: (blocks - first_block).div_ceil(blocks_per_group), superblock })
    }

    pub(super) fn has(&self, feature: Feature) -> bool {
        self.superblock.features.has(feature)
    }

    /// What the descriptors of all groups say; they lie from the block after the superblock on.
    pub(super) fn group_list(&self, device: &dyn ReadAt) -> Result<Vec<Group>, Error> {
        let Superblock { block_size, first_block, descriptor_size, .. } = self.superblock;
        let (at, len) = ((first_block + 1) * block_size, self.groups * descriptor_size);
        if at.checked_add(len).is_none_or(|end| end > device.len()) {
            return Err(damaged("there is no space for their descriptors"));
        }
        let mut raw = vec![0; len as usize];
        device.read_at(at, &mut raw).map_err(|e| Error::io("reading the ext4 group descriptors", e))?;
        let group = |raw: &[u8]| {
            let get = |field: Field| field.get(raw, self.has(features::WIDE));
            Group {
                block_bitmap: get(BLOCK_BITMAP),
                inode_bitmap: get(INODE_BITMAP),
                inode_table: get(INODE_TABLE),
                uninitialised: get(FLAGS) & BLOCK_UNINIT != 0,
            }
        };
        Ok(raw.chunks_exact(descriptor_size as usize).map(group).collect())
    }

    /// Blocks at the start of a group that hold the superblock, the descriptors and the room for more.
    pub(super) fn head_blocks(&self, group: u64) -> u64 {
        let Superblock { block_size, descriptor_size, reserved, backup_groups, .. } = self.superblock;
        let has_backup = group == 0
            || match () {
                () if self.has(features::SPARSE_SUPER2) => backup_groups.contains(&group),
                // groups 0, 1 and powers of 3, 5 and 7
                () if self.has(features::SPARSE_SUPER) => [3, 5, 7].iter().any(|base| is_power(group, *base)),
                () => true,
            };
        if has_backup { 1 + (self.groups * descriptor_size).div_ceil(block_size) + reserved } else { 0 }
    }

    /// Blocks that the inodes of a group take.
    pub(super) fn inode_table_blocks(&self) -> u64 {
        let Superblock { block_size, inodes_per_group, inode_size, .. } = self.superblock;
        (inodes_per_group * inode_size).div_ceil(block_size)
    }

    pub(super) fn bytes(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        start * self.superblock.block_size..end * self.superblock.block_size
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
