//! Which blocks of an ext4 file system hold something, by its own bitmaps.

use super::super::Error;
use super::geometry::{Geometry, damaged};
use super::superblock::Superblock;
use crate::disk::{Ranges, ReadAt};

/// The bytes of the file system in `device` that are in use: everything but what its bitmaps call
/// free, and inode tables that nobody has written yet. What lies behind the end of the file system is left out.
///
/// # Errors
/// [`Error::NotThere`] where there is none; [`Error::NotClean`] where a journal is pending, for then
/// the bitmaps are not the last word; [`Error::Incompatible`] for features by which a bit of a bitmap
/// stands for something else than a block; [`Error::Corrupt`] for what contradicts itself.
pub fn used(device: &dyn ReadAt) -> Result<Ranges, Error> {
    let geometry = Geometry::read(device)?;
    let Superblock { first_block, block_size, blocks, .. } = geometry.superblock;
    let mut used = Ranges::new();
    // with blocks of 1 KiB, block 0 belongs to no group
    used.insert(0..first_block * block_size);
    let mut bitmap = vec![0; block_size as usize];
    let mut tables = Vec::new();
    let mut unwritten = Ranges::new();
    for (number, group) in (0..geometry.groups).zip(geometry.group_list(device)?) {
        for (start, count) in [
            (group.block_bitmap, 1),
            (group.inode_bitmap, 1),
            (group.inode_table, geometry.inode_table_blocks()),
        ] {
            if start < first_block || start.checked_add(count).is_none_or(|end| end > blocks) {
                return Err(damaged(format!("a table of group {number} would be at block {start}")));
            }
            tables.push(geometry.bytes(start, start + count));
        }
        if group.unwritten_table {
            let end = group.inode_table + geometry.inode_table_blocks();
            unwritten.insert(geometry.bytes(group.inode_table, end));
        }
        let (start, count) = (geometry.start(number), geometry.size(number));
        if group.unwritten_bitmap {
            let own = geometry.head_blocks(number).min(count);
            tables.push(geometry.bytes(start, start + own));
            continue;
        }
        let at = group.block_bitmap * block_size;
        device.read_at(at, &mut bitmap).map_err(|e| Error::io("reading an ext4 block bitmap", e))?;
        for run in runs(&bitmap, count).iter() {
            used.insert(geometry.bytes(start + run.start, start + run.end));
        }
    }
    // the tables are marked in the bitmaps as well; of groups without bitmaps, only here
    tables.into_iter().for_each(|range| used.insert(range));
    Ok(used.without(&unwritten))
}

/// Runs of set bits among the first `count`.
fn runs(bitmap: &[u8], count: u64) -> Ranges {
    let mut runs = Ranges::new();
    for (index, byte) in bitmap.iter().enumerate() {
        let start = index as u64 * 8;
        if start >= count {
            break;
        }
        match byte {
            0 => {}
            0xff if start + 8 <= count => runs.insert(start..start + 8),
            byte => {
                let set = (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| start + bit);
                set.filter(|block| *block < count).for_each(|block| runs.insert(block..block + 1));
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits() {
        let seen = runs(&[0b1111_0001, 0xff, 0, 0b1000_0000, 0xff], 36);
        assert!(seen.iter().eq([0..1, 4..16, 31..36]));
        assert!(runs(&[0xff; 4], 32).iter().eq(std::iter::once(0..32)));
        assert!(runs(&[0], 8).is_empty());
    }
}
