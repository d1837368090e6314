//! Where the parts of an ext4 file system lie: what its superblock and group descriptors say.

use super::super::Error;
use super::descriptor::{
    BLOCK_BITMAP, BLOCK_UNINIT, FLAGS, INODE_BITMAP, INODE_TABLE, INODE_UNINIT, INODE_ZEROED,
};
use super::features::{self, Feature};
use super::fields::Field;
use super::superblock::Superblock;
use crate::disk::ReadAt;

/// mke2fs makes no smaller groups; of smaller ones there could be more descriptors than memory holds.
const FEWEST_PER_GROUP: u64 = 256;

/// An ext4 file system whose superblock says where the parts of its groups are.
#[derive(Clone)]
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
    /// Of its blocks only those of its own tables are used, whatever lies where its bitmap would be.
    pub(super) unwritten_bitmap: bool,
    /// None of its inodes was ever used, and anything may lie where its table is: the kernel clears that after
    /// the first mount.
    pub(super) unwritten_table: bool,
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

    /// Whether descriptors have checksums, and so flags that say what was never written.
    pub(super) fn has_checksums(&self) -> bool {
        self.has(features::GDT_CSUM) || self.has(features::METADATA_CSUM)
    }

    /// The descriptors of all groups, from the block after the superblock on.
    pub(super) fn descriptors(&self, device: &dyn ReadAt) -> Result<Vec<u8>, Error> {
        let Superblock { block_size, first_block, descriptor_size, .. } = self.superblock;
        let (at, len) = ((first_block + 1) * block_size, self.groups * descriptor_size);
        if at.checked_add(len).is_none_or(|end| end > device.len()) {
            return Err(damaged("there is no space for their descriptors"));
        }
        let mut raw = vec![0; len as usize];
        device.read_at(at, &mut raw).map_err(|e| Error::io("reading the ext4 group descriptors", e))?;
        Ok(raw)
    }

    /// What the descriptors of all groups say.
    pub(super) fn group_list(&self, device: &dyn ReadAt) -> Result<Vec<Group>, Error> {
        let (wide, has_flags) = (self.has(features::WIDE), self.has_checksums());
        let group = |raw: &[u8]| {
            let get = |field: Field| field.get(raw, wide);
            let flags = if has_flags { get(FLAGS) } else { 0 };
            Group {
                block_bitmap: get(BLOCK_BITMAP),
                inode_bitmap: get(INODE_BITMAP),
                inode_table: get(INODE_TABLE),
                unwritten_bitmap: flags & BLOCK_UNINIT != 0,
                unwritten_table: flags & (INODE_UNINIT | INODE_ZEROED) == INODE_UNINIT,
            }
        };
        let descriptors = self.descriptors(device)?;
        Ok(descriptors.chunks_exact(self.superblock.descriptor_size as usize).map(group).collect())
    }

    /// Whether a group holds the superblock and the descriptors, or a copy of them.
    pub(super) fn has_head(&self, group: u64) -> bool {
        group == 0
            || match () {
                () if self.has(features::SPARSE_SUPER2) => self.superblock.backup_groups.contains(&group),
                // groups 0, 1 and powers of 3, 5 and 7
                () if self.has(features::SPARSE_SUPER) => [3, 5, 7].iter().any(|base| is_power(group, *base)),
                () => true,
            }
    }

    /// Blocks at the start of a group that hold the superblock, the descriptors and the room for more.
    pub(super) fn head_blocks(&self, group: u64) -> u64 {
        if self.has_head(group) { 1 + self.descriptor_blocks() + self.superblock.reserved } else { 0 }
    }

    /// Blocks that the descriptors of all groups take.
    pub(super) fn descriptor_blocks(&self) -> u64 {
        (self.groups * self.superblock.descriptor_size).div_ceil(self.superblock.block_size)
    }

    /// The first block of a group.
    pub(super) fn start(&self, group: u64) -> u64 {
        self.superblock.first_block + group * self.superblock.blocks_per_group
    }

    /// How many blocks a group has: the last one may be shorter.
    pub(super) fn size(&self, group: u64) -> u64 {
        self.superblock.blocks_per_group.min(self.superblock.blocks - self.start(group))
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
