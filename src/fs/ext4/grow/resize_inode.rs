//! The inode that owns the blocks kept back for descriptors.
//!
//! Its one double-indirect block points at each such block behind the descriptors of group 0; each of
//! these is an indirect block, and points at the same block behind each of the backups, in the order of the
//! groups. A block that has become one of descriptors is no longer owned by it. (Kernel: `add_new_gdb`
//! and `reserve_backup_gdb`.)

use super::super::Error;
use super::super::descriptor::INODE_TABLE;
use super::super::fields::{Field, field};
use super::super::geometry::{Geometry, damaged};
use super::checksum::Checksums;
use super::descriptors::Descriptors;
use crate::disk::WriteAt;

const NUMBER: u32 = 7;
// `inodes.rst`
/// The pointer to a double-indirect block.
const DOUBLE_INDIRECT: Field = field(0x28 + 4 * 13, 4);
/// What the inode owns, in sectors: the lower 32 bits; with `huge_file` there are 16 more.
const BLOCKS: Field = field(0x1c, 4);
const GENERATION: Field = field(0x64, 4);
const CHECKSUM: Field = field(0x7c, 2);
/// How many bytes the inode has beyond the first 128.
const EXTRA_LEN: Field = field(0x80, 2);
const CHECKSUM_HIGH: Field = field(0x82, 2);
/// Of those the upper half of the checksum takes the third and fourth.
const EXTRA_WITH_CHECKSUM: u64 = 4;

fn io(e: std::io::Error) -> Error {
    Error::io("changing the inode that owns the blocks kept for group descriptors", e)
}

/// What the inode has now, and where it lies.
pub(super) struct ResizeInode {
    raw: Vec<u8>,
    at: u64,
    /// The double-indirect block.
    pointers: u64,
}

/// The checksum that an inode must have, in two halves.
fn checksum(checksums: Checksums, raw: &[u8]) -> Option<(u64, u64)> {
    let (low, high) = checksums.of_inode(NUMBER, GENERATION.get(raw, false) as u32, raw)?;
    Some((low.into(), high.into()))
}

/// Groups that have a backup.
fn backups(geometry: &Geometry) -> impl Iterator<Item = u64> {
    (1..geometry.groups).filter(|group| geometry.has_head(*group))
}

/// Pointers in a block.
fn per_block(geometry: &Geometry) -> u64 {
    geometry.superblock.block_size / 4
}

impl ResizeInode {
    /// Reads it, and sees that it owns what it should: what it points at is written to. `None` where nothing
    /// is kept back.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub(super) fn read(
        device: &dyn WriteAt,
        geometry: &Geometry,
        descriptors: &Descriptors,
        checksums: Checksums,
    ) -> Result<Option<Self>, Error> {
        if geometry.superblock.reserved == 0 {
            return Ok(None);
        }
        let wrong = |why: &str| damaged(format!("the inode that owns the blocks kept for them {why}"));
        let table = descriptors.get(0, INODE_TABLE);
        if table < geometry.superblock.first_block
            || table.saturating_add(geometry.inode_table_blocks()) > geometry.superblock.blocks
        {
            return Err(damaged(format!("the inode table of group 0 would be at block {table}")));
        }
        let at =
            table * geometry.superblock.block_size + u64::from(NUMBER - 1) * geometry.superblock.inode_size;
        let mut raw = vec![0; geometry.superblock.inode_size as usize];
        device.read_at(at, &mut raw).map_err(io)?;
        let stored = |field: Field| field.get(&raw, false);
        if let Some((low, high)) = checksum(checksums, &raw)
            && (stored(CHECKSUM) != low || (high != 0 && stored(CHECKSUM_HIGH) != high))
        {
            return Err(wrong("has a wrong checksum"));
        }
        let pointers = stored(DOUBLE_INDIRECT);
        if pointers <= geometry.superblock.first_block || pointers >= geometry.superblock.blocks {
            return Err(wrong("owns nothing"));
        }
        let mut block = vec![0; geometry.superblock.block_size as usize];
        device.read_at(pointers * geometry.superblock.block_size, &mut block).map_err(io)?;
        for (slot, kept) in kept(geometry) {
            if field(slot, 4).get(&block, false) != kept {
                return Err(wrong(&format!("does not own block {kept}")));
            }
        }
        Ok(Some(Self { raw, at, pointers }))
    }

    /// Writes what it owns in the grown file system.
    pub(super) fn write(
        mut self,
        device: &dyn WriteAt,
        geometry: &Geometry,
        checksums: Checksums,
    ) -> Result<(), Error> {
        let backups: Vec<u64> = backups(geometry).collect();
        let mut pointers = vec![0; geometry.superblock.block_size as usize];
        for (slot, kept) in kept(geometry) {
            pointers[slot..slot + 4].copy_from_slice(&(kept as u32).to_le_bytes());
            let mut block = vec![0; geometry.superblock.block_size as usize];
            for (slot, group) in block.chunks_exact_mut(4).zip(&backups) {
                slot.copy_from_slice(
                    &((kept + group * geometry.superblock.blocks_per_group) as u32).to_le_bytes(),
                );
            }
            device.write_at(kept * geometry.superblock.block_size, &block).map_err(io)?;
        }
        device.write_at(self.pointers * geometry.superblock.block_size, &pointers).map_err(io)?;

        let owned = 1 + geometry.superblock.reserved * (1 + backups.len() as u64);
        BLOCKS.put(&mut self.raw, false, owned * (geometry.superblock.block_size / 512));
        if let Some((low, high)) = checksum(checksums, &self.raw) {
            CHECKSUM.put(&mut self.raw, false, low);
            // an inode without this field has zero here, and so is its upper half
            if high != 0 || EXTRA_LEN.get(&self.raw, false) >= EXTRA_WITH_CHECKSUM {
                CHECKSUM_HIGH.put(&mut self.raw, false, high);
            }
        }
        device.write_at(self.at, &self.raw).map_err(io)
    }
}

/// The blocks kept back in group 0, and where in the double-indirect block each is pointed at: by the number
/// that it would have among the blocks of descriptors.
fn kept(geometry: &Geometry) -> impl Iterator<Item = (usize, u64)> {
    (geometry.descriptor_blocks()..geometry.descriptor_blocks() + geometry.superblock.reserved).map(
        |number| ((number % per_block(geometry)) as usize * 4, geometry.superblock.first_block + 1 + number),
    )
}

/// Whether there are more backups than an indirect block has pointers for.
pub(super) fn overflows(geometry: &Geometry) -> bool {
    geometry.superblock.reserved > 0 && backups(geometry).count() as u64 > per_block(geometry)
}
