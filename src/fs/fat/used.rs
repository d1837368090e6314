//! Which parts of a FAT file system hold something, by its own allocation table.

use super::super::Error;
use super::bpb::{Bpb, table_entry};
use crate::disk::{Ranges, ReadAt};

/// The table is read in pieces of this many bytes.
const PIECE: usize = 64 * 1024;

/// The bytes of the file system in `device` that are in use: boot sectors, tables, and every cluster
/// whose entry is not zero. Bad clusters count as used.
///
/// # Errors
/// [`Error::NotThere`] where there is none; [`Error::Incompatible`] where the first table is not the
/// one that counts; [`Error::Io`]
pub fn used(device: &dyn ReadAt) -> Result<Ranges, Error> {
    let bpb = Bpb::read(device)?;
    let reading = |e| Error::io("reading the FAT allocation table", e);
    bpb.check_tables()?;
    let width = bpb.entry_len();
    let mut used = Ranges::new();
    used.insert(0..bpb.data_offset);
    let mut piece = vec![0; PIECE];
    let mut cluster = 2;
    let end = bpb.clusters + 2;
    while cluster < end {
        let count = (PIECE as u64 / width).min(end - cluster);
        let raw = &mut piece[..(count * width) as usize];
        device.read_at(bpb.fat_offset + cluster * width, raw).map_err(reading)?;
        for entry in raw.chunks_exact(width as usize) {
            if table_entry(entry) != 0 {
                let start = bpb.data_offset + (cluster - 2) * bpb.cluster_len;
                used.insert(start..start + bpb.cluster_len);
            }
            cluster += 1;
        }
    }
    Ok(used)
}
