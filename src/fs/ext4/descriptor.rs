//! The fields of a group descriptor: `Documentation/filesystems/ext4/group_descr.rst`.

use super::fields::{Field, field, halves};

pub(super) const BLOCK_BITMAP: Field = halves(0x0, 0x20, 4);
pub(super) const INODE_BITMAP: Field = halves(0x4, 0x24, 4);
pub(super) const INODE_TABLE: Field = halves(0x8, 0x28, 4);
pub(super) const FREE_BLOCKS: Field = halves(0xc, 0x2c, 2);
pub(super) const FREE_INODES: Field = halves(0xe, 0x2e, 2);
pub(super) const FLAGS: Field = field(0x12, 2);
pub(super) const BLOCK_BITMAP_SUM: Field = halves(0x18, 0x38, 2);
pub(super) const UNUSED_INODES: Field = halves(0x1c, 0x32, 2);

/// No inode of the group was ever used: neither its bitmap nor its table has to be on the disk.
pub(super) const INODE_UNINIT: u64 = 0x1;
/// No block but those of the group's own tables was ever used: its bitmap need not be on the disk.
pub(super) const BLOCK_UNINIT: u64 = 0x2;
/// The whole inode table was written.
pub(super) const INODE_ZEROED: u64 = 0x4;
