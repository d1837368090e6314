//! How large the file system becomes: arithmetic alone.
//!
//! It gives the same sizes as `resize2fs`, so that the first boot's own growth goes on from there.

use super::super::Error;
use super::super::features;
use super::super::geometry::Geometry;

/// `resize2fs` and the kernel count in pages of this many bytes where blocks are smaller.
const PAGE: u64 = 4096;
/// A last group is made if it has this many blocks more than its own tables take.
const WORTH_A_GROUP: u64 = 50;

/// What stands against a size.
fn unfit(wanted: u64, why: String) -> Error {
    Error::Size { fs: "ext4", wanted, why }
}

/// The geometry of `old` when it has grown to at most `len` bytes. `extensible` says whether blocks are
/// kept back for descriptors. It is `old`'s where `len` holds no more than it has.
///
/// # Errors
/// [`Error::Size`]
pub(super) fn geometry(old: &Geometry, extensible: bool, len: u64) -> Result<Geometry, Error> {
    let now = old.superblock.blocks * old.superblock.block_size;
    if len < now {
        return Err(unfit(len, format!("it has {now} bytes now, and pibake does not shrink file systems")));
    }
    let in_page = (PAGE / old.superblock.block_size).max(1);
    let mut blocks = len / old.superblock.block_size / in_page * in_page;
    if blocks > u64::from(u32::MAX) {
        let largest = u64::from(u32::MAX) * old.superblock.block_size;
        return Err(unfit(
            len,
            format!("with blocks of {} bytes {largest} bytes are the most", old.superblock.block_size),
        ));
    }
    loop {
        if blocks <= old.superblock.blocks {
            return Ok(old.clone());
        }
        let new = with_blocks(old, blocks);
        let last = new.groups - 1;
        // counted with what was kept back before
        let head = if has_head_at_end(old, last) {
            1 + new.descriptor_blocks() + old.superblock.reserved
        } else {
            0
        };
        let rest = (blocks - new.superblock.first_block) % new.superblock.blocks_per_group;
        if last > 0 && rest != 0 && rest < 2 + new.inode_table_blocks() + head + WORTH_A_GROUP {
            blocks -= rest;
            continue;
        }
        return check(old, new, extensible, len);
    }
}

fn with_blocks(old: &Geometry, blocks: u64) -> Geometry {
    let mut new = old.clone();
    new.superblock.blocks = blocks;
    new.groups = (blocks - old.superblock.first_block).div_ceil(old.superblock.blocks_per_group);
    let more = new.descriptor_blocks().saturating_sub(old.descriptor_blocks());
    new.superblock.reserved = old.superblock.reserved.saturating_sub(more);
    if old.has(features::SPARSE_SUPER2) {
        new.superblock.backup_groups = moved_backups(old, new.groups);
    }
    new
}

/// Descriptors in a block.
fn per_block(geometry: &Geometry) -> u64 {
    geometry.superblock.block_size / geometry.superblock.descriptor_size
}

/// Whether the last group would have a backup: with `sparse_super2` that one moves along.
fn has_head_at_end(old: &Geometry, last: u64) -> bool {
    let [first, second] = old.superblock.backup_groups;
    match () {
        () if !old.has(features::SPARSE_SUPER2) => old.has_head(last),
        () if last == 1 => first != 0,
        () => second != 0,
    }
}

/// With `sparse_super2` the backups are in the second group and in the last one.
fn moved_backups(old: &Geometry, groups: u64) -> [u64; 2] {
    let [first, second] = old.superblock.backup_groups;
    if groups <= old.groups {
        return [first, second];
    }
    let is_new = old.groups < 3 && groups > 2;
    [if old.groups == 1 { 1 } else { first }, if is_new || second != 0 { groups - 1 } else { second }]
}

fn check(old: &Geometry, new: Geometry, extensible: bool, len: u64) -> Result<Geometry, Error> {
    let more = new.descriptor_blocks() - old.descriptor_blocks();
    let kept_back = if extensible { old.superblock.reserved } else { 0 };
    let largest = |groups: u64| {
        (old.superblock.first_block + groups * old.superblock.blocks_per_group)
            .saturating_mul(old.superblock.block_size)
    };
    if more > kept_back {
        let most = largest((old.descriptor_blocks() + kept_back) * per_block(old));
        return Err(unfit(
            len,
            format!(
                "its table of block groups has space for {most} bytes at most; ask for no more, or take another image"
            ),
        ));
    }
    if new.groups * new.superblock.inodes_per_group > u64::from(u32::MAX) {
        let most = largest(u64::from(u32::MAX) / new.superblock.inodes_per_group);
        return Err(unfit(len, format!("at {most} bytes it has as many inodes as ext4 can number")));
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::super::super::superblock::Superblock;
    use super::*;

    /// A file system as mke2fs makes it of 64 MiB: one group, which the superblock knows all about.
    fn small(ro_compat: u32) -> Geometry {
        let mut superblock = Superblock::default();
        superblock.block_size = 4096;
        superblock.blocks = 16384;
        superblock.blocks_per_group = 32768;
        superblock.descriptor_size = 64;
        superblock.reserved = 7;
        superblock.inode_size = 256;
        superblock.inodes_per_group = 16384;
        superblock.features.ro_compat = ro_compat;
        Geometry { superblock, groups: 1 }
    }

    fn sparse() -> Geometry {
        small(features::SPARSE_SUPER.1)
    }

    fn blocks(old: &Geometry, blocks: u64) -> u64 {
        geometry(old, true, blocks * old.superblock.block_size).unwrap().superblock.blocks
    }

    #[test]
    fn a_last_group_that_holds_too_little_is_left_out() {
        let old = sparse();
        // two bitmaps, the table, superblock and descriptors, and fifty blocks more
        let head = 1 + 1 + 7;
        let least = 2 + 1024 + head + 50;
        assert_eq!(blocks(&old, 32768 + least - 1), 32768);
        assert_eq!(blocks(&old, 32768 + least), 32768 + least);
        // the third group has no backup
        let least = least - head;
        assert_eq!(blocks(&old, 2 * 32768 + least - 1), 2 * 32768);
        assert_eq!(blocks(&old, 2 * 32768 + least), 2 * 32768 + least);
        assert_eq!(blocks(&old, 2 * 32768 + 1), 2 * 32768);
        assert_eq!(blocks(&old, 16384), 16384);
    }

    #[test]
    fn descriptors_go_where_blocks_are_kept_for_them_and_no_further() {
        let old = sparse();
        let new = geometry(&old, true, 64 << 30).unwrap();
        assert_eq!((new.groups, new.descriptor_blocks(), new.superblock.reserved), (512, 8, 0));
        let error = geometry(&old, true, (64 << 30) + (256 << 20)).err().unwrap().to_string();
        assert!(error.contains(&format!("space for {} bytes", 64_u64 << 30)), "{error}");
        // without an inode that owns them they are nobody's
        let error = geometry(&old, false, 9 << 30).err().unwrap().to_string();
        assert!(error.contains(&format!("space for {} bytes", 8_u64 << 30)), "{error}");
    }

    #[test]
    fn the_second_of_two_backups_moves_along() {
        let named = |geometry: &Geometry| geometry.superblock.backup_groups;
        let mut one = small(0);
        one.superblock.features.compat = features::SPARSE_SUPER2.1;
        let two = geometry(&one, true, 256 << 20).unwrap();
        assert_eq!((two.groups, named(&two)), (2, [1, 0]));
        let ten = geometry(&two, true, 1280 << 20).unwrap();
        assert_eq!((ten.groups, named(&ten)), (10, [1, 9]));
        let more = geometry(&ten, true, 2560 << 20).unwrap();
        assert_eq!((more.groups, named(&more)), (20, [1, 19]));
    }
}
