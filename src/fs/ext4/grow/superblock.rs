//! The superblock and its backups: `Documentation/filesystems/ext4/super.rst`.

use super::super::Error;
use super::super::descriptor::{FREE_BLOCKS, FREE_INODES};
use super::super::features;
use super::super::fields::{Field, field, halves};
use super::super::geometry::Geometry;
use super::super::superblock::{
    self, BACKUP_GROUPS, BLOCKS, LEN, OFFSET, RESERVED_FOR_DESCRIPTORS, STATE, STATE_VALID,
};
use super::checksum::Checksums;
use super::descriptors::Descriptors;
use crate::disk::{ReadAt, WriteAt};

const INODES: Field = field(0x0, 4);
const KEPT_FOR_ROOT: Field = halves(0x8, 0x154, 4);
const FREE_INODE_COUNT: Field = field(0x10, 4);
/// The group that a copy of the superblock is in.
const GROUP: Field = field(0x5a, 2);
/// The binary logarithm of how many groups have their tables together.
const FLEX: Field = field(0x174, 1);
const OVERHEAD: Field = field(0x248, 4);

/// The bytes of a superblock.
pub(super) struct Raw([u8; LEN]);

impl Raw {
    /// Those of the file system in `device`.
    pub(super) fn read(device: &dyn ReadAt) -> Result<Self, Error> {
        superblock::raw(device).map(Self)
    }

    /// All of them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn put(&mut self, field: Field, value: u64) {
        field.put(&mut self.0, false, value);
    }

    /// How many inodes it says there are.
    pub(super) fn inodes(&self) -> u64 {
        INODES.get(&self.0, false)
    }

    /// How many groups have their tables together, with `flex_bg`.
    pub(super) fn flex(&self) -> u64 {
        1u64.checked_shl(FLEX.get(&self.0, false) as u32).unwrap_or(1)
    }

    /// Says what is so in the file system that has grown from `old` to `new`.
    pub(super) fn update(&mut self, old: &Geometry, new: &Geometry, descriptors: &Descriptors) {
        let kept = KEPT_FOR_ROOT.get(&self.0, new.has(features::WIDE));
        for (field, value) in [
            (KEPT_FOR_ROOT, kept_for_root(kept, old.superblock.blocks, new.superblock.blocks)),
            (BLOCKS, new.superblock.blocks),
            (superblock::FREE_BLOCKS, descriptors.total(new.groups, FREE_BLOCKS)),
        ] {
            field.put(&mut self.0, new.has(features::WIDE), value);
        }
        self.put(INODES, new.groups * new.superblock.inodes_per_group);
        self.put(FREE_INODE_COUNT, descriptors.total(new.groups, FREE_INODES));
        self.put(RESERVED_FOR_DESCRIPTORS, new.superblock.reserved);
        // the kernel counts again if there is none
        self.put(OVERHEAD, 0);
        if new.has(features::SPARSE_SUPER2) {
            for (field, group) in BACKUP_GROUPS.into_iter().zip(new.superblock.backup_groups) {
                self.put(field, group);
            }
        }
    }

    /// Writes the descriptors and the superblock wherever `geometry` has them, those that count last.
    pub(super) fn write(
        mut self,
        device: &dyn WriteAt,
        geometry: &Geometry,
        descriptors: &Descriptors,
        checksums: Checksums,
    ) -> Result<(), Error> {
        let put = |at: u64, bytes: &[u8]| {
            device
                .write_at(at, bytes)
                .map_err(|e| Error::io("writing the ext4 superblock and group descriptors", e))
        };
        let state = STATE.get(&self.0, false);
        for group in (1..geometry.groups).filter(|group| geometry.has_head(*group)) {
            put((geometry.start(group) + 1) * geometry.superblock.block_size, descriptors.bytes())?;
            // A backup has the number of its group as far as the field reaches, and is never "clean": whoever
            // mounts by it is to check first.
            self.put(GROUP, group.min(u16::MAX.into()));
            self.put(STATE, state & !STATE_VALID);
            checksums.set_superblock(&mut self.0);
            put(geometry.start(group) * geometry.superblock.block_size, &self.0)?;
        }
        put((geometry.superblock.first_block + 1) * geometry.superblock.block_size, descriptors.bytes())?;
        self.put(GROUP, 0);
        self.put(STATE, state);
        checksums.set_superblock(&mut self.0);
        put(OFFSET, &self.0)
    }
}

/// The same share of the blocks is kept for root, by the arithmetic of `resize2fs`, so that both say the
/// same number.
fn kept_for_root(kept: u64, old: u64, new: u64) -> u64 {
    let percent = kept as f64 * 100.0 / old as f64;
    (percent * new as f64 / 100.0) as u64
}
