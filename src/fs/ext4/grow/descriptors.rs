//! The group descriptors, in memory.

use super::super::Error;
use super::super::descriptor::FLAGS;
use super::super::features;
use super::super::fields::Field;
use super::super::geometry::{Geometry, damaged};
use super::checksum::Checksums;
use crate::disk::ReadAt;

/// Descriptors of all groups, whole blocks of them.
pub(super) struct Descriptors {
    raw: Vec<u8>,
    size: usize,
    wide: bool,
}

impl Descriptors {
    /// Those of `old`, with room for those of `new`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where a checksum is wrong.
    pub(super) fn read(
        device: &dyn ReadAt,
        old: &Geometry,
        new: &Geometry,
        checksums: Checksums,
    ) -> Result<Self, Error> {
        let mut raw = old.descriptors(device)?;
        for (group, descriptor) in (0..).zip(raw.chunks_exact(old.superblock.descriptor_size as usize)) {
            if !checksums.is_right_descriptor(group, descriptor) {
                return Err(damaged(format!("the checksum of the descriptor of group {group} is wrong")));
            }
        }
        raw.resize((new.descriptor_blocks() * new.superblock.block_size) as usize, 0);
        Ok(Self { raw, size: old.superblock.descriptor_size as usize, wide: old.has(features::WIDE) })
    }

    /// All of them, as they lie on the disk.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.raw
    }

    fn one(&self, group: u64) -> &[u8] {
        &self.raw[group as usize * self.size..][..self.size]
    }

    fn one_mut(&mut self, group: u64) -> &mut [u8] {
        &mut self.raw[group as usize * self.size..][..self.size]
    }

    /// What `field` of a group says.
    pub(super) fn get(&self, group: u64, field: Field) -> u64 {
        field.get(self.one(group), self.wide)
    }

    /// Makes `field` of a group say `value`.
    pub(super) fn set(&mut self, group: u64, field: Field, value: u64) {
        let wide = self.wide;
        field.put(self.one_mut(group), wide, value);
    }

    /// A checksum as this descriptor keeps it: in narrow ones the lower half.
    pub(super) fn kept_sum(&self, sum: u32) -> u64 {
        u64::from(if self.wide { sum } else { sum & 0xffff })
    }

    /// The flags of a group.
    pub(super) fn flags(&self, group: u64) -> u64 {
        self.get(group, FLAGS)
    }

    /// Sets the flags of a group.
    pub(super) fn set_flags(&mut self, group: u64, flags: u64) {
        self.set(group, FLAGS, flags);
    }

    /// Makes the checksums of all right.
    pub(super) fn seal(&mut self, groups: u64, checksums: Checksums) {
        for (group, raw) in (0..).zip(self.raw.chunks_exact_mut(self.size)).take(groups as usize) {
            checksums.set_descriptor(group, raw);
        }
    }

    /// The sum of `field` over all groups.
    pub(super) fn total(&self, groups: u64, field: Field) -> u64 {
        (0..groups).map(|group| self.get(group, field)).sum()
    }
}
