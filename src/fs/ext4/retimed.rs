//! An ext4 file system with other times in its inodes, for a reader that refuses the true ones.
//!
//! `ext4-view` 1.0.0 takes the seconds of a time for 32 bits without a sign and calls an inode
//! damaged whose topmost bit is set: every one from before 1970 or after 2038. So what it is given
//! has harmless numbers in the places of the times, and right checksums for them; an inode whose
//! checksum was wrong before stays wrong. The numbers are the inode's own, which the reader does not
//! tell either: by them the true times are found.

use std::io;
use std::ops::Range;

use super::super::Error;
use super::geometry::Geometry;
use super::times::{self, ACCESSED, CHANGED, CREATED, MODIFIED, SMALL_INODE, Time};
use crate::disk::ReadAt;
use crate::io::le;

/// The low half of the checksum, which every inode has, and the high half, which large ones have.
const CHECKSUM_LOW: usize = 0x7c;
const CHECKSUM_HIGH: usize = 0x82;
const GENERATION: usize = 0x64;
const EXTRA_SIZE: usize = 0x80;

/// See the module.
pub(super) struct Retimed<D> {
    device: D,
    /// Where inodes lie, ascending, and the number of the first of each.
    tables: Vec<(Range<u64>, u64)>,
    inode_size: u64,
    seed: Option<u32>,
}

impl<D: ReadAt> Retimed<D> {
    /// The file system in `device`.
    ///
    /// # Errors
    /// As [`Geometry::read`]; [`Error::Corrupt`] for tables of inodes that lie outside it.
    pub(super) fn new(device: D) -> Result<Self, Error> {
        let geometry = Geometry::read(&device)?;
        let len = geometry.inodes_per_group * geometry.inode_size;
        let mut tables = Vec::new();
        for (number, group) in (0..).zip(geometry.group_list(&device)?) {
            let start = group.inode_table.checked_mul(geometry.block);
            let range = start.and_then(|start| Some(start..start.checked_add(len)?));
            let range = range.filter(|r| r.end <= device.len()).ok_or_else(|| Error::Corrupt {
                path: "the ext4 block groups".into(),
                why: format!("the inodes of group {number} would lie outside the file system"),
            })?;
            tables.push((range, number * geometry.inodes_per_group + 1));
        }
        tables.sort_by_key(|(range, _)| range.start);
        Ok(Self { device, tables, inode_size: geometry.inode_size, seed: geometry.checksum_seed })
    }

    /// When the inode was last changed that was read with these as its times of access and modification.
    ///
    /// # Errors
    /// What the device answers; [`io::ErrorKind::InvalidData`] for an inode that is not there.
    pub(super) fn modified(&self, accessed: i64, modified: i64) -> io::Result<Time> {
        let number = (modified << 16 | accessed).cast_unsigned();
        let within = |(range, first): &(Range<u64>, u64)| {
            let at = range.start.checked_add(number.checked_sub(*first)?.checked_mul(self.inode_size)?)?;
            range.contains(&at).then_some(at)
        };
        let at = self.tables.iter().find_map(within).ok_or(io::ErrorKind::InvalidData)?;
        Ok(times::modified(&self.inode(at)?))
    }

    fn inode(&self, at: u64) -> io::Result<Vec<u8>> {
        let mut raw = vec![0; self.inode_size as usize];
        self.device.read_at(at, &mut raw)?;
        Ok(raw)
    }

    /// Fills `dst` with what lies from `offset` on, the inodes in it with other times.
    ///
    /// # Errors
    /// What the device answers.
    pub(super) fn read_at(&self, offset: u64, dst: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, dst)?;
        let end = offset + dst.len() as u64;
        // the last that begins before the end, and those before it
        let candidates = &self.tables[..self.tables.partition_point(|(range, _)| range.start < end)];
        for (range, first) in candidates.iter().rev().take_while(|(range, _)| range.end > offset) {
            let index = (offset.max(range.start) - range.start) / self.inode_size;
            let (mut at, mut number) = (range.start + index * self.inode_size, first + index);
            while at < end.min(range.end) {
                // whole blocks are read, and so whole inodes, nearly always
                let whole = at.checked_sub(offset).and_then(|from| {
                    dst.get(from as usize..)?.get(..self.inode_size as usize).map(<[u8]>::to_vec)
                });
                let mut raw = whole.map_or_else(|| self.inode(at), Ok)?;
                if self.retime(&mut raw, number as u32) {
                    let (from, to) = (at.max(offset), (at + self.inode_size).min(end));
                    dst[(from - offset) as usize..(to - offset) as usize]
                        .copy_from_slice(&raw[(from - at) as usize..(to - at) as usize]);
                }
                at += self.inode_size;
                number += 1;
            }
        }
        Ok(())
    }

    /// Puts the number of an inode in the place of its times; does nothing to one that is damaged.
    fn retime(&self, raw: &mut [u8], number: u32) -> bool {
        if let Some(seed) = self.seed
            && !has_right_checksum(raw, seed, number)
        {
            return false;
        }
        let mut put = |at: usize, value: u32| {
            if let Some(place) = raw.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        };
        for ((seconds, extra), value) in
            [(ACCESSED, number & 0xffff), (MODIFIED, number >> 16), (CHANGED, 0), (CREATED, 0)]
        {
            put(seconds, value);
            put(extra, 0);
        }
        if let Some(seed) = self.seed {
            // in full wherever there is room, which is what the reader compares
            let sum = checksum(raw, seed, number, raw.len() > SMALL_INODE);
            raw[CHECKSUM_LOW..CHECKSUM_LOW + 2].copy_from_slice(&sum.to_le_bytes()[..2]);
            if let Some(high) = raw.get_mut(CHECKSUM_HIGH..CHECKSUM_HIGH + 2) {
                high.copy_from_slice(&sum.to_le_bytes()[2..]);
            }
        }
        true
    }
}

/// The checksum of an inode: of its number, its generation and its bytes, with zeros in the places of
/// the checksum itself (the kernel's `ext4_inode_csum`).
fn checksum(raw: &[u8], seed: u32, number: u32, with_high: bool) -> u32 {
    // the format goes without the final complement of CRC-32C
    let feed = |sum: u32, bytes: &[u8]| !crc32c::crc32c_append(!sum, bytes);
    let mut sum = feed(seed, &number.to_le_bytes());
    sum = feed(sum, &raw[GENERATION..GENERATION + 4]);
    sum = feed(sum, &raw[..CHECKSUM_LOW]);
    sum = feed(sum, &[0; 2]);
    if !with_high {
        return feed(sum, &raw[CHECKSUM_LOW + 2..]);
    }
    sum = feed(sum, &raw[CHECKSUM_LOW + 2..CHECKSUM_HIGH]);
    sum = feed(sum, &[0; 2]);
    feed(sum, &raw[CHECKSUM_HIGH + 2..])
}

fn has_right_checksum(raw: &[u8], seed: u32, number: u32) -> bool {
    let half = |at| le::u16(raw, at).map_or(0, u32::from);
    let extra = if raw.len() > SMALL_INODE { half(EXTRA_SIZE) as usize } else { 0 };
    let with_high = SMALL_INODE + extra >= CHECKSUM_HIGH + 2;
    let sum = checksum(raw, seed, number, with_high);
    let mask = if with_high { u32::MAX } else { 0xffff };
    let stored = half(CHECKSUM_LOW) | if with_high { half(CHECKSUM_HIGH) << 16 } else { 0 };
    stored == sum & mask
}
