//! Growing a file system that is not mounted, as `resize2fs` does it.
//!
//! # What becomes of it
//!
//! The last group gets what it lacks, and new groups follow. Their tables are placed by [`tables`]; their
//! descriptors go into the blocks that mke2fs kept back for them, so no block of a file ever moves, and what is
//! written is a few kilobytes for each 128 MiB: the block bitmaps of some groups, the descriptors, and the
//! backups of both. Inode tables and inode bitmaps of new groups are *not* written where descriptors have
//! checksums: the flags in them say that nothing was ever there, as mke2fs and the kernel leave it, and the
//! kernel clears the tables at its leisure after the first mount. Without checksums they have to be zero;
//! where the device already reads as zero, nothing is written either.
//!
//! # What is refused
//!
//! Whatever the editor refuses ([`Superblock::check_editable`]). And growth beyond the space kept back for
//! descriptors, where the kernel would go on with `meta_bg` and `resize2fs` by moving files out of the way:
//! a file system with `meta_bg` could not be edited any more by this crate's editor, which is what growth is
//! for here. mke2fs keeps space for 1024 times the first size, but for no more than 1024 blocks of
//! descriptors (256 with blocks of 1 KiB), so Ubuntu's images reach beyond any card; a file
//! system with blocks of 1 KiB ends at 32 GiB. The error names the most that is possible.
//!
//! # For whoever bakes
//!
//! The device must already have the new length: an [`Overlay`](crate::disk::Overlay) over the base
//! [`Extended`](crate::disk::Extended) by zeros. In this order: make the base longer, let
//! [`enlarge`](crate::disk::enlarge) change the partition table, open the window of the partition
//! that it returns, `grow` to the window's length, then edit. The image's new length is that of the extended
//! device: the [`Patch`](crate::disk::Patch) of such an overlay knows it, while the base's file does not, so a sink
//! that starts from the base has to set the length of its output from the patch, not from the base.

mod bitmaps;
mod checksum;
mod descriptors;
mod resize_inode;
mod superblock;
mod tables;
mod target;

use super::super::Error;
use super::Superblock;
use super::descriptor::{FREE_BLOCKS, FREE_INODES, INODE_BITMAP, INODE_TABLE, INODE_UNINIT, UNUSED_INODES};
use super::features;
use super::geometry::{Geometry, damaged};
use crate::disk::WriteAt;
use crate::io::is_zero;
use bitmaps::Bitmaps;
use checksum::Checksums;
use descriptors::Descriptors;
use resize_inode::ResizeInode;
use superblock::Raw;
use tables::Layout;

/// Inode tables are looked at in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

/// What growth did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// Bytes that the file system had.
    pub before: u64,
    /// Bytes that it has. A last group too small for its own tables is left out, so these may be less
    /// than asked for.
    pub after: u64,
    /// Bytes in it that are free.
    pub free: u64,
}

/// Makes the file system in `device` as large as fits into its first `new_len` bytes.
///
/// # Errors
/// [`Error::Size`] for fewer bytes than it has now, or more than it can have; what
/// [`Superblock::check_editable`] answers; [`Error::Corrupt`]. After an error while writing, the content of
/// `device` is neither the old file system nor the new one.
pub fn grow(device: &dyn WriteAt, new_len: u64) -> Result<Grown, Error> {
    let found = Superblock::read(device)?;
    found.check_editable(device.len())?;
    let (old, mut raw) = (Geometry::read(device)?, Raw::read(device)?);
    let checksums = Checksums::of(&old, raw.bytes());
    check(&old, &raw, checksums)?;
    if new_len > device.len() {
        let why = format!("its partition has {} bytes", device.len());
        return Err(Error::Size { fs: "ext4", wanted: new_len, why });
    }
    let mut grown = Grown {
        before: old.superblock.blocks * old.superblock.block_size,
        after: old.superblock.blocks * old.superblock.block_size,
        free: found.free_blocks.saturating_mul(old.superblock.block_size),
    };
    let extensible = found.features.has(features::RESIZE_INODE);
    let new = target::geometry(&old, extensible, new_len)?;
    if new.superblock.blocks == old.superblock.blocks {
        return Ok(grown);
    }
    let mut descriptors = Descriptors::read(device, &old, &new, checksums)?;
    let resize_inode = match extensible {
        true => ResizeInode::read(device, &old, &descriptors, checksums)?,
        false => None,
    };
    if resize_inode.is_some() && resize_inode::overflows(&new) {
        return Err(Error::Incompatible { fs: "ext4", features: "resize_inode without sparse_super".into() });
    }

    let mut bitmaps = Bitmaps::new(device, &new, checksums);
    lengthen_last(&mut bitmaps, &descriptors, &old, &new)?;
    let layout = Layout::new(&new, if found.features.has(features::FLEX_BG) { raw.flex() } else { 1 });
    for group in old.groups..new.groups {
        if layout.begins_run(group) {
            bitmaps.flush(&mut descriptors)?;
        }
        bitmaps.begin(&descriptors, group);
        layout.place(&mut descriptors, &mut bitmaps, group)?;
        begin_inodes(device, &new, &mut descriptors, group)?;
    }
    bitmaps.flush(&mut descriptors)?;

    if let Some(inode) = resize_inode {
        inode.write(device, &new, checksums)?;
    }
    descriptors.seal(new.groups, checksums);
    raw.update(&old, &new, &descriptors);
    raw.write(device, &new, &descriptors, checksums)?;
    grown.after = new.superblock.blocks * new.superblock.block_size;
    grown.free = descriptors.total(new.groups, FREE_BLOCKS) * new.superblock.block_size;
    Ok(grown)
}

/// Refuses what contradicts itself in a way that growth would carry on.
fn check(old: &Geometry, raw: &Raw, checksums: Checksums) -> Result<(), Error> {
    if !checksums.is_right_superblock(raw.bytes()) {
        return Err(damaged("the checksum of the superblock is wrong"));
    }
    let narrow = u64::from(u16::MAX);
    if old.superblock.first_block != u64::from(old.superblock.block_size == 1024)
        || !old.superblock.blocks_per_group.is_multiple_of(8)
        || !old.superblock.inodes_per_group.is_multiple_of(8)
        || old.superblock.inodes_per_group > 8 * old.superblock.block_size
        || raw.inodes() != old.groups * old.superblock.inodes_per_group
        || old.inode_table_blocks() + 2 >= old.superblock.blocks_per_group
        || old.superblock.reserved > old.superblock.block_size / 4
        || 1 + old.descriptor_blocks() + old.superblock.reserved >= old.superblock.blocks_per_group
        || (!old.has(features::WIDE)
            && (old.superblock.blocks_per_group > narrow || old.superblock.inodes_per_group > narrow))
    {
        return Err(damaged("the superblock is inconsistent"));
    }
    Ok(())
}

/// Adds to the last group what it lacks, and frees what was a backup (`sparse_super2`) and is none any more.
fn lengthen_last(
    bitmaps: &mut Bitmaps<'_>,
    descriptors: &Descriptors,
    old: &Geometry,
    new: &Geometry,
) -> Result<(), Error> {
    let last = old.groups - 1;
    let (had, has) = (old.size(last), new.size(last));
    bitmaps::set(bitmaps.get(descriptors, last)?, had..has, false);
    if old.head_blocks(last) > 0 && !new.has_head(last) {
        let start = old.start(last);
        bitmaps.mark(descriptors, start..start + old.head_blocks(last), false)?;
    }
    Ok(())
}

/// All inodes of a new group are free, and were never used.
fn begin_inodes(
    device: &dyn WriteAt,
    geometry: &Geometry,
    descriptors: &mut Descriptors,
    group: u64,
) -> Result<(), Error> {
    descriptors.set(group, FREE_INODES, geometry.superblock.inodes_per_group);
    if geometry.has_checksums() {
        descriptors.set_flags(group, descriptors.flags(group) | INODE_UNINIT);
        descriptors.set(group, UNUSED_INODES, geometry.superblock.inodes_per_group);
        return Ok(());
    }
    let mut bitmap = vec![0; geometry.superblock.block_size as usize];
    bitmaps::set(&mut bitmap, geometry.superblock.inodes_per_group..u64::MAX, true);
    device
        .write_at(descriptors.get(group, INODE_BITMAP) * geometry.superblock.block_size, &bitmap)
        .map_err(|e| Error::io("writing an ext4 inode bitmap", e))?;
    let table = descriptors.get(group, INODE_TABLE) * geometry.superblock.block_size;
    clear(device, table, geometry.inode_table_blocks() * geometry.superblock.block_size)
        .map_err(|e| Error::io("clearing an ext4 inode table", e))
}

/// Makes bytes zero; those that are so are not written, so that what is a hole stays one.
fn clear(device: &dyn WriteAt, offset: u64, len: u64) -> std::io::Result<()> {
    let mut piece = vec![0; len.min(PIECE) as usize];
    let mut done = 0;
    while done < len {
        let n = (len - done).min(PIECE) as usize;
        device.read_at(offset + done, &mut piece[..n])?;
        if !is_zero(&piece[..n]) {
            device.write_at(offset + done, &vec![0; n])?;
        }
        done += n as u64;
    }
    Ok(())
}
