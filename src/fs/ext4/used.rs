//! Which blocks of an ext4 file system hold something, by its own bitmaps.
//!
//! Offsets of fields are those of the kernel's `Documentation/filesystems/ext4`.

use super::super::Error;
use super::superblock::Superblock;
use crate::disk::{BlockDevice, Ranges};

const SUPERBLOCK: u64 = 1024;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
const RO_COMPAT_GDT_CSUM: u32 = 0x10;
const RO_COMPAT_BIGALLOC: u32 = 0x200;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
/// A group whose bitmap was never written: of its blocks only those of its own tables are used.
const BLOCK_UNINIT: u16 = 0x2;

/// What of a superblock and its group descriptors tells where blocks are.
struct Geometry {
    block: u64,
    blocks: u64,
    first: u64,
    per_group: u64,
    groups: u64,
    descriptor: usize,
    descriptor_blocks: u64,
    reserved: u64,
    inode_table_blocks: u64,
    wide: bool,
    checksums: bool,
    backups: Backups,
}

/// Which groups hold a copy of the superblock and of the descriptors.
enum Backups {
    All,
    /// Groups 0, 1 and powers of 3, 5 and 7.
    Sparse,
    /// Group 0 and these.
    Named([u64; 2]),
}

/// The bytes of the file system in `device` that are in use: everything but what its bitmaps call
/// free. What lies behind the end of the file system is left out.
///
/// # Errors
/// [`Error::NotThere`] where there is none; [`Error::NotClean`] where a journal is pending, for then
/// the bitmaps are not the last word; [`Error::Incompatible`] for features by which a bit of a bitmap
/// stands for something else than a block; [`Error::Corrupt`] for what contradicts itself.
pub fn used(device: &dyn BlockDevice) -> Result<Ranges, Error> {
    let geometry = Geometry::read(device)?;
    let descriptors = geometry.descriptors(device)?;
    let mut used = Ranges::new();
    // with blocks of 1 KiB, block 0 belongs to no group
    used.insert(0..geometry.first * geometry.block);
    let mut bitmap = vec![0; geometry.block as usize];
    let mut tables = Vec::new();
    for (number, raw) in (0..geometry.groups).zip(descriptors.chunks_exact(geometry.descriptor)) {
        let group = Group::read(&geometry, raw);
        for (start, count) in [
            (group.block_bitmap, 1),
            (group.inode_bitmap, 1),
            (group.inode_table, geometry.inode_table_blocks),
        ] {
            if start < geometry.first || start.checked_add(count).is_none_or(|end| end > geometry.blocks) {
                return Err(damaged(format!("a table of group {number} would be at block {start}")));
            }
            tables.push(geometry.bytes(start, start + count));
        }
        let start = geometry.first + number * geometry.per_group;
        let count = geometry.per_group.min(geometry.blocks - start);
        if group.uninitialised && geometry.checksums {
            let own = geometry.head_blocks(number).min(count);
            tables.push(geometry.bytes(start, start + own));
            continue;
        }
        let at = group.block_bitmap * geometry.block;
        device.read_at(at, &mut bitmap).map_err(|e| Error::io("reading an ext4 block bitmap", e))?;
        for run in runs(&bitmap, count) {
            used.insert(geometry.bytes(start + run.start, start + run.end));
        }
    }
    // the tables are marked in the bitmaps as well; of groups without bitmaps, only here
    tables.into_iter().for_each(|range| used.insert(range));
    Ok(used)
}

/// Runs of set bits among the first `count`.
fn runs(bitmap: &[u8], count: u64) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    let mut push = |start: u64, end: u64| match runs.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => runs.push(start..end),
    };
    for (index, byte) in bitmap.iter().enumerate() {
        let start = index as u64 * 8;
        if start >= count {
            break;
        }
        match byte {
            0 => {}
            0xff if start + 8 <= count => push(start, start + 8),
            byte => {
                let set = (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| start + bit);
                set.filter(|block| *block < count).for_each(|block| push(block, block + 1));
            }
        }
    }
    runs
}

fn damaged(why: impl Into<String>) -> Error {
    Error::Corrupt { path: "the ext4 block groups".into(), why: why.into() }
}

struct Group {
    block_bitmap: u64,
    inode_bitmap: u64,
    inode_table: u64,
    uninitialised: bool,
}

impl Group {
    fn read(geometry: &Geometry, raw: &[u8]) -> Self {
        let u32_at =
            |at: usize| u64::from(u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]));
        let block = |low: usize, high: usize| {
            let high = if geometry.wide { u32_at(high) << 32 } else { 0 };
            high | u32_at(low)
        };
        Self {
            block_bitmap: block(0x0, 0x20),
            inode_bitmap: block(0x4, 0x24),
            inode_table: block(0x8, 0x28),
            uninitialised: u16::from_le_bytes([raw[0x12], raw[0x13]]) & BLOCK_UNINIT != 0,
        }
    }
}

impl Geometry {
    fn read(device: &dyn BlockDevice) -> Result<Self, Error> {
        let known = Superblock::read(device)?;
        let mut raw = [0; 1024];
        device.read_at(SUPERBLOCK, &mut raw).map_err(|e| Error::io("reading the ext4 superblock", e))?;
        let u16_at = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        let (compat, incompat, ro_compat) = (u32_at(0x5c), u32_at(0x60), u32_at(0x64));
        let unfit = |features: &str| Err(Error::Incompatible { fs: "ext4", features: features.into() });
        if incompat & INCOMPAT_RECOVER != 0 {
            let why = "its journal holds changes that were never written back";
            return Err(Error::NotClean { fs: "ext4", why, repair: "e2fsck" });
        }
        if ro_compat & RO_COMPAT_BIGALLOC != 0 {
            return unfit("bigalloc");
        }
        if incompat & INCOMPAT_META_BG != 0 {
            return unfit("meta_bg");
        }
        if incompat & INCOMPAT_JOURNAL_DEV != 0 {
            return unfit("journal_dev");
        }
        let (block, blocks) = (known.block_size, known.blocks);
        let first = u64::from(u32_at(0x14));
        let per_group = u64::from(u32_at(0x20));
        let wide_descriptors = incompat & INCOMPAT_64BIT != 0;
        let descriptor = if wide_descriptors { usize::from(u16_at(0xfe)) } else { 32 };
        let inode_size = if u32_at(0x4c) == 0 { 128 } else { u64::from(u16_at(0x58)) };
        let inodes = u64::from(u32_at(0x28));
        if first > 1
            || !(1..=8 * block).contains(&per_group)
            || blocks <= first
            || blocks.checked_mul(block).is_none_or(|bytes| bytes > device.len())
            || !(32..=1024).contains(&descriptor)
            || !descriptor.is_power_of_two()
            || (wide_descriptors && descriptor < 64)
        {
            return Err(damaged("the superblock contradicts itself"));
        }
        let groups = (blocks - first).div_ceil(per_group);
        let descriptor_blocks = (groups * descriptor as u64).div_ceil(block);
        let backups = match () {
            () if compat & COMPAT_SPARSE_SUPER2 != 0 => {
                Backups::Named([u64::from(u32_at(0x24c)), u64::from(u32_at(0x250))])
            }
            () if ro_compat & RO_COMPAT_SPARSE_SUPER != 0 => Backups::Sparse,
            () => Backups::All,
        };
        Ok(Self {
            block,
            blocks,
            first,
            per_group,
            groups,
            descriptor,
            descriptor_blocks,
            reserved: u64::from(u16_at(0xce)),
            inode_table_blocks: (inodes * inode_size).div_ceil(block),
            wide: wide_descriptors,
            checksums: ro_compat & (RO_COMPAT_GDT_CSUM | RO_COMPAT_METADATA_CSUM) != 0,
            backups,
        })
    }

    /// The descriptors of all groups, from the block after the superblock on.
    fn descriptors(&self, device: &dyn BlockDevice) -> Result<Vec<u8>, Error> {
        let at = (self.first + 1) * self.block;
        let len = self.groups * self.descriptor as u64;
        if at.checked_add(len).is_none_or(|end| end > device.len()) {
            return Err(damaged("there is no room for their descriptors"));
        }
        let mut raw = vec![0; len as usize];
        device.read_at(at, &mut raw).map_err(|e| Error::io("reading the ext4 group descriptors", e))?;
        Ok(raw)
    }

    /// Blocks at the start of a group that hold the superblock, the descriptors and the room for more.
    fn head_blocks(&self, group: u64) -> u64 {
        let has_backup = group == 0
            || match self.backups {
                Backups::All => true,
                Backups::Sparse => [3, 5, 7].iter().any(|base| is_power(group, *base)),
                Backups::Named(named) => named.contains(&group),
            };
        if has_backup { 1 + self.descriptor_blocks + self.reserved } else { 0 }
    }

    fn bytes(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        start * self.block..end * self.block
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
    fn runs_of_bits() {
        let seen = runs(&[0b1111_0001, 0xff, 0, 0b1000_0000, 0xff], 36);
        assert_eq!(seen, [0..1, 4..16, 31..36]);
        assert_eq!(runs(&[0xff; 4], 32).as_slice(), std::slice::from_ref(&(0..32)));
        assert!(runs(&[0], 8).is_empty());
    }

    #[test]
    fn backups_are_at_powers_of_three_five_and_seven() {
        let with: Vec<u64> = (1..100).filter(|n| [3, 5, 7].iter().any(|b| is_power(*n, *b))).collect();
        assert_eq!(with, [1, 3, 5, 7, 9, 25, 27, 49, 81]);
    }
}
