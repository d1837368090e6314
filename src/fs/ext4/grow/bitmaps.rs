//! The block bitmaps of the groups that are worked on.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::Error;
use super::super::descriptor::{
    BLOCK_BITMAP, BLOCK_BITMAP_SUM, BLOCK_UNINIT, FREE_BLOCKS, INODE_BITMAP, INODE_TABLE,
};
use super::super::geometry::{Geometry, damaged};
use super::checksum::Checksums;
use super::descriptors::Descriptors;
use crate::disk::WriteAt;

/// Bitmaps that were read or made, by group, until they are written.
pub(super) struct Bitmaps<'a> {
    device: &'a dyn WriteAt,
    geometry: &'a Geometry,
    checksums: Checksums,
    held: BTreeMap<u64, Vec<u8>>,
}

/// Sets bits; those that are out of bounds are none.
pub(super) fn set(bitmap: &mut [u8], bits: Range<u64>, value: bool) {
    let (mut at, end) = (bits.start, bits.end.min(bitmap.len() as u64 * 8));
    while at < end {
        let whole = at.is_multiple_of(8) && at + 8 <= end;
        let (mask, step) = if whole { (0xff, 8) } else { (1 << (at % 8), 1) };
        let byte = &mut bitmap[(at / 8) as usize];
        *byte = if value { *byte | mask } else { *byte & !mask };
        at += step;
    }
}

fn is_set(bitmap: &[u8], bit: u64) -> bool {
    bitmap.get((bit / 8) as usize).is_none_or(|byte| byte >> (bit % 8) & 1 == 1)
}

impl<'a> Bitmaps<'a> {
    /// None yet, of the file system that is to be as `geometry` has it.
    pub(super) fn new(device: &'a dyn WriteAt, geometry: &'a Geometry, checksums: Checksums) -> Self {
        Self { device, geometry, checksums, held: BTreeMap::new() }
    }

    /// The bitmap that a group has if nothing is in it but the superblock, the descriptors and those of
    /// its own tables that lie within it.
    fn plain(&self, descriptors: &Descriptors, group: u64) -> Vec<u8> {
        let (start, size) = (self.geometry.start(group), self.geometry.size(group));
        let mut bitmap = vec![0; self.geometry.superblock.block_size as usize];
        set(&mut bitmap, 0..self.geometry.head_blocks(group).min(size), true);
        for (field, count) in
            [(BLOCK_BITMAP, 1), (INODE_BITMAP, 1), (INODE_TABLE, self.geometry.inode_table_blocks())]
        {
            let table = descriptors.get(group, field);
            let (from, to) = (table.max(start), table.saturating_add(count).min(start + size));
            if from < to {
                set(&mut bitmap, from - start..to - start, true);
            }
        }
        set(&mut bitmap, size..u64::MAX, true);
        bitmap
    }

    /// Holds a new group, of which the superblock and the descriptors alone are used.
    pub(super) fn begin(&mut self, descriptors: &Descriptors, group: u64) {
        self.held.insert(group, self.plain(descriptors, group));
    }

    /// The bitmap of a group, to be changed.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it lies nowhere or its checksum is wrong.
    pub(super) fn get(&mut self, descriptors: &Descriptors, group: u64) -> Result<&mut Vec<u8>, Error> {
        if !self.held.contains_key(&group) {
            let bitmap = self.read(descriptors, group)?;
            self.held.insert(group, bitmap);
        }
        self.held.get_mut(&group).ok_or_else(|| damaged(format!("there is no group {group}")))
    }

    fn read(&self, descriptors: &Descriptors, group: u64) -> Result<Vec<u8>, Error> {
        let at = descriptors.get(group, BLOCK_BITMAP);
        if at < self.geometry.superblock.first_block || at >= self.geometry.superblock.blocks {
            return Err(damaged(format!("the bitmap of group {group} would be at block {at}")));
        }
        if self.geometry.has_checksums() && descriptors.flags(group) & BLOCK_UNINIT != 0 {
            return Ok(self.plain(descriptors, group));
        }
        let mut bitmap = vec![0; self.geometry.superblock.block_size as usize];
        self.device
            .read_at(at * self.geometry.superblock.block_size, &mut bitmap)
            .map_err(|e| Error::io("reading an ext4 block bitmap", e))?;
        if let Some(sum) = self.checksums.of_bitmap(&bitmap, self.geometry.superblock.blocks_per_group)
            && descriptors.get(group, BLOCK_BITMAP_SUM) != descriptors.kept_sum(sum)
        {
            return Err(damaged(format!("the checksum of the block bitmap of group {group} is wrong")));
        }
        Ok(bitmap)
    }

    /// Whether none of these blocks is in use. They may lie in several groups.
    pub(super) fn are_free(&mut self, descriptors: &Descriptors, blocks: Range<u64>) -> Result<bool, Error> {
        for (group, bits) in self.by_group(blocks) {
            let bitmap = self.get(descriptors, group)?;
            if bits.clone().any(|bit| is_set(bitmap, bit)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Marks blocks as used or free.
    pub(super) fn mark(
        &mut self,
        descriptors: &Descriptors,
        blocks: Range<u64>,
        used: bool,
    ) -> Result<(), Error> {
        for (group, bits) in self.by_group(blocks) {
            set(self.get(descriptors, group)?, bits, used);
        }
        Ok(())
    }

    /// The first run of `count` free blocks among these, which are of one group.
    pub(super) fn find(
        &mut self,
        descriptors: &Descriptors,
        blocks: Range<u64>,
        count: u64,
    ) -> Result<Option<u64>, Error> {
        for (group, bits) in self.by_group(blocks) {
            let start = self.geometry.start(group);
            let bitmap = self.get(descriptors, group)?;
            let mut run = 0;
            for bit in bits {
                run = if is_set(bitmap, bit) { 0 } else { run + 1 };
                if run == count {
                    return Ok(Some(start + bit + 1 - count));
                }
            }
        }
        Ok(None)
    }

    fn by_group(&self, blocks: Range<u64>) -> Vec<(u64, Range<u64>)> {
        let mut pieces = Vec::new();
        let mut at = blocks.start.max(self.geometry.superblock.first_block);
        while at < blocks.end.min(self.geometry.superblock.blocks) {
            let group =
                (at - self.geometry.superblock.first_block) / self.geometry.superblock.blocks_per_group;
            let start = self.geometry.start(group);
            let end = blocks.end.min(start + self.geometry.size(group));
            pieces.push((group, at - start..end - start));
            at = end;
        }
        pieces
    }

    /// Writes what is held, and counts what is free in it. Where checksums vouch for the descriptors, the
    /// bitmap of a group that says no more than its descriptor is not written; that of the last group is,
    /// as mke2fs and the kernel have it.
    pub(super) fn flush(&mut self, descriptors: &mut Descriptors) -> Result<(), Error> {
        for (group, mut bitmap) in std::mem::take(&mut self.held) {
            let size = self.geometry.size(group);
            set(&mut bitmap, size..u64::MAX, true);
            let free = bitmap.iter().map(|byte| u64::from(byte.count_zeros())).sum();
            descriptors.set(group, FREE_BLOCKS, free);
            let flags = descriptors.flags(group) & !BLOCK_UNINIT;
            let is_last = group + 1 == self.geometry.groups;
            if self.geometry.has_checksums() && !is_last && bitmap == self.plain(descriptors, group) {
                descriptors.set_flags(group, flags | BLOCK_UNINIT);
                self.set_sum(descriptors, group, 0);
                continue;
            }
            descriptors.set_flags(group, flags);
            if let Some(sum) = self.checksums.of_bitmap(&bitmap, self.geometry.superblock.blocks_per_group) {
                self.set_sum(descriptors, group, sum);
            }
            let at = descriptors.get(group, BLOCK_BITMAP) * self.geometry.superblock.block_size;
            self.device.write_at(at, &bitmap).map_err(|e| Error::io("writing an ext4 block bitmap", e))?;
        }
        Ok(())
    }

    fn set_sum(&self, descriptors: &mut Descriptors, group: u64, sum: u32) {
        if matches!(self.checksums, Checksums::All(_)) {
            descriptors.set(group, BLOCK_BITMAP_SUM, u64::from(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_and_cleared_across_bytes() {
        let mut bitmap = [0; 4];
        set(&mut bitmap, 3..21, true);
        assert_eq!(bitmap, [0b1111_1000, 0xff, 0b0001_1111, 0]);
        set(&mut bitmap, 8..17, false);
        assert_eq!(bitmap, [0b1111_1000, 0, 0b0001_1110, 0]);
        set(&mut bitmap, 30..u64::MAX, true);
        assert_eq!(bitmap[3], 0b1100_0000);
        assert!(is_set(&bitmap, 3) && !is_set(&bitmap, 2) && is_set(&bitmap, 31));
    }
}
