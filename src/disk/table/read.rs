//! Which partitions a disk has, whatever its table.

use super::{Partition, SECTOR, Scheme, TableError, gpt, mbr};
use crate::disk::ReadAt;

/// Reads the partition table of `device`: every partition is within it, and none overlaps another.
///
/// # Errors
/// [`TableError`]
pub fn partitions(device: &dyn ReadAt) -> Result<(Scheme, Vec<Partition>), TableError> {
    if device.len() < SECTOR {
        return Err(TableError::None);
    }
    let mut sector = [0; SECTOR as usize];
    device.read_at(0, &mut sector).map_err(TableError::Read)?;
    // both begin with a boot record that ends in this signature
    if sector[510..] != mbr::SIGNATURE {
        return Err(TableError::None);
    }
    let (scheme, found) = match mbr::is_protective(&sector) {
        true => (Scheme::Gpt, gpt::read(device)?),
        false => (Scheme::Mbr, mbr::read(&sector)?),
    };
    if found.is_empty() {
        return Err(TableError::None);
    }
    check(&found, device.len())?;
    Ok((scheme, found))
}

fn check(partitions: &[Partition], len: u64) -> Result<(), TableError> {
    let mut sorted: Vec<&Partition> = partitions.iter().collect();
    sorted.sort_by_key(|p| p.offset);
    for p in &sorted {
        let end = p.offset.saturating_add(p.len);
        // sector 0 holds the table itself
        if p.len == 0 || p.offset < SECTOR || end > len {
            return Err(TableError::Outside { number: p.number, range: p.offset..end, len });
        }
    }
    for pair in sorted.windows(2) {
        if pair[0].offset + pair[0].len > pair[1].offset {
            return Err(TableError::Overlap { first: pair[0].number, second: pair[1].number });
        }
    }
    Ok(())
}
