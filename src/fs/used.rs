//! Which bytes of a whole image hold something: what a card must get, and what it need not.

use std::sync::Arc;

use super::{Error, ext4, fat};
use crate::disk::{self, Ranges, ReadAt, TableError};

/// What of an image is in use.
#[derive(Debug)]
pub struct Used {
    /// The bytes.
    pub ranges: Ranges,
    /// Partitions of which all bytes are taken for used, and why: no file system that is known, or
    /// one whose own account cannot be relied on.
    pub whole: Vec<(u32, Error)>,
}

/// Finds out what of `image` is in use: in partitions with ext4 and FAT what these say, of other
/// partitions everything, and outside of partitions what is in `data`, where bytes are that may not
/// be zero.
///
/// # Errors
/// [`TableError`]
pub fn used(image: &Arc<dyn ReadAt>, data: &Ranges) -> Result<Used, TableError> {
    let (_, partitions) = disk::partitions(image)?;
    let within: Ranges = partitions.iter().map(|p| p.offset..p.offset + p.len).collect();
    let mut ranges = data.without(&within);
    let mut whole = Vec::new();
    for partition in &partitions {
        let found = partition.open(Arc::clone(image)).and_then(|window| match ext4::used(&window) {
            Err(Error::NotThere { .. }) => fat::used(&window),
            other => other,
        });
        match found {
            Ok(found) => {
                found
                    .iter()
                    .for_each(|r| ranges.insert(partition.offset + r.start..partition.offset + r.end));
            }
            Err(why) => {
                ranges.insert(partition.offset..partition.offset + partition.len);
                whole.push((partition.number, why));
            }
        }
    }
    // the table itself
    ranges.insert(0..disk::SECTOR);
    Ok(Used { ranges, whole })
}
