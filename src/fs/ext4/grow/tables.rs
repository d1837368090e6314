//! Where the bitmaps and inode tables of new groups go.
//!
//! With `flex_bg` they lie together at the start of a run of groups, as mke2fs and the kernel put them:
//! the block bitmaps of all, the inode bitmaps, the tables. A place is decided by the group's number
//! alone, not by how many groups are to follow, so that growth in several steps ends as growth in one
//! does. Where that place is taken (mke2fs lays the last, shorter run of a file system out for the groups
//! that it has), and without `flex_bg`, the tables of a group are in the group itself.

use std::ops::Range;

use super::super::Error;
use super::super::descriptor::{BLOCK_BITMAP, INODE_BITMAP, INODE_TABLE};
use super::super::features;
use super::super::geometry::{Geometry, damaged};
use super::bitmaps::Bitmaps;
use super::descriptors::Descriptors;

/// A run has at most this many groups, however many `flex_bg` would put together: all of their bitmaps
/// fit into the smallest last group that is made. It is also what mke2fs takes if it is not told.
const LONGEST_RUN: u64 = 16;

/// Finds places in runs of groups.
pub(super) struct Layout<'a> {
    geometry: &'a Geometry,
    /// How many groups are in a run.
    run: u64,
}

/// Where the three tables of a group are.
struct Places {
    block_bitmap: u64,
    inode_bitmap: u64,
    inode_table: u64,
}

impl Places {
    fn ranges(&self, geometry: &Geometry) -> [Range<u64>; 3] {
        let table = self.inode_table..self.inode_table + geometry.inode_table_blocks();
        let one = |block: u64| block..block + 1;
        [one(self.block_bitmap), one(self.inode_bitmap), table]
    }
}

impl<'a> Layout<'a> {
    /// The layout of a file system that puts `flex` groups together.
    pub(super) fn new(geometry: &'a Geometry, flex: u64) -> Self {
        Self { geometry, run: flex.clamp(1, LONGEST_RUN) }
    }

    /// Whether a run begins with `group`: no table of it or a later one lies further ahead.
    pub(super) fn begins_run(&self, group: u64) -> bool {
        group.is_multiple_of(self.run)
    }

    /// Places the tables of `group`, all groups before it being placed, and marks them as used.
    pub(super) fn place(
        &self,
        descriptors: &mut Descriptors,
        bitmaps: &mut Bitmaps<'_>,
        group: u64,
    ) -> Result<(), Error> {
        let places = match self.in_run(descriptors, bitmaps, group)? {
            Some(places) => places,
            None => self.in_group(descriptors, bitmaps, group)?,
        };
        for blocks in places.ranges(self.geometry) {
            bitmaps.mark(descriptors, blocks, true)?;
        }
        descriptors.set(group, BLOCK_BITMAP, places.block_bitmap);
        descriptors.set(group, INODE_BITMAP, places.inode_bitmap);
        descriptors.set(group, INODE_TABLE, places.inode_table);
        Ok(())
    }

    /// The places that the run keeps for the group, if they are free.
    fn in_run(
        &self,
        descriptors: &Descriptors,
        bitmaps: &mut Bitmaps<'_>,
        group: u64,
    ) -> Result<Option<Places>, Error> {
        let first = group - group % self.run;
        let index = group - first;
        let from = self.first_block(first);
        let Some(inode_table) = self.table(from + 2 * self.run, index) else { return Ok(None) };
        let places =
            Places { block_bitmap: from + index, inode_bitmap: from + self.run + index, inode_table };
        // not in a later group, which may never be there
        let end = self.geometry.start(group) + self.geometry.size(group);
        for blocks in places.ranges(self.geometry) {
            if blocks.end > end || !bitmaps.are_free(descriptors, blocks)? {
                return Ok(None);
            }
        }
        Ok(Some(places))
    }

    /// The first block of a group that a table may be in. Where the backup of the last group moves along
    /// (`sparse_super2`), `resize2fs` frees one block more than it had there (1.47.4,
    /// `clear_sparse_super2_last_group`): that must not be a bitmap.
    fn first_block(&self, group: u64) -> u64 {
        let head = self.geometry.head_blocks(group);
        let moves = head > 0
            && self.geometry.has(features::SPARSE_SUPER2)
            && self.geometry.superblock.backup_groups[1] == group;
        self.geometry.start(group) + head + u64::from(moves)
    }

    /// Where table number `index` is, when tables follow each other from `at` on but for the heads of
    /// groups, which they go around; `None` if they are too long for that.
    fn table(&self, at: u64, index: u64) -> Option<u64> {
        let count = self.geometry.inode_table_blocks();
        let mut at = self.around_heads(at, count)?;
        for _ in 0..index {
            at = self.around_heads(at + count, count)?;
        }
        Some(at)
    }

    fn around_heads(&self, at: u64, count: u64) -> Option<u64> {
        let group_of = |block: u64| {
            (block - self.geometry.superblock.first_block) / self.geometry.superblock.blocks_per_group
        };
        let in_the_way = |at: u64| {
            let groups = group_of(at)..=group_of(at + count - 1);
            let mut heads = groups.map(|g| (self.geometry.start(g), self.geometry.head_blocks(g)));
            heads.find(|(start, head)| *head > 0 && at < start + head && at + count > *start)
        };
        let mut at = at;
        for _ in 0..=LONGEST_RUN {
            match in_the_way(at) {
                None => return Some(at),
                Some((start, head)) => at = start + head,
            }
        }
        None
    }

    /// The first places in the group itself.
    fn in_group(
        &self,
        descriptors: &Descriptors,
        bitmaps: &mut Bitmaps<'_>,
        group: u64,
    ) -> Result<Places, Error> {
        let end = self.geometry.start(group) + self.geometry.size(group);
        let mut find = |count: u64| -> Result<u64, Error> {
            let found = bitmaps.find(descriptors, self.first_block(group)..end, count)?;
            let start = found.ok_or_else(|| damaged(format!("group {group} has no space for its tables")))?;
            bitmaps.mark(descriptors, start..start + count, true)?;
            Ok(start)
        };
        Ok(Places {
            block_bitmap: find(1)?,
            inode_bitmap: find(1)?,
            inode_table: find(self.geometry.inode_table_blocks())?,
        })
    }
}
