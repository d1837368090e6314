//! Partition tables: MBR and GPT.

mod mbr;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use gpt::disk::LogicalBlockSize;
use gpt::header::{Header, HeaderError, read_header_from_arbitrary_device};
use gpt::partition::file_read_partitions;

use super::{ReadAt, Stream, Window};
use crate::error::{Classified, ErrorClass};

/// Sector size that image files are laid out in. Tables count in sectors, and an image file does
/// not say how long one is; every SD card has 512 bytes.
pub const SECTOR: u64 = 512;

/// A partition, as its table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number as Linux counts it: p1, p2, …
    pub number: u32,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// What the table says is in it.
    pub kind: Kind,
}

/// What a partition table says is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FAT or an EFI system partition.
    Fat,
    /// A Linux file system.
    Linux,
    /// Anything else.
    Other,
}

/// Which table a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The PC's master boot record: four primary partitions and chains of logical ones.
    Mbr,
    /// The GUID partition table of the UEFI specification.
    Gpt,
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mbr => "MBR",
            Self::Gpt => "GPT",
        })
    }
}

/// Why a disk's partitions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Reading the table failed.
    #[error("reading the partition table")]
    Read(#[source] io::Error),
    /// Neither an MBR nor a GPT is there.
    #[error("there is no partition table: this is not the image of a whole card")]
    None,
    /// The table contradicts itself or fails its checksums.
    #[error("the {scheme} partition table is damaged: {why}; take a fresh image")]
    Damaged {
        /// Which table.
        scheme: Scheme,
        /// What is wrong with it.
        why: String,
    },
    /// A partition does not lie within the disk.
    #[error(
        "partition {number} (bytes {range:?}) reaches outside the disk of {len} bytes: the image is cut short or its table is damaged"
    )]
    Outside {
        /// The partition.
        number: u32,
        /// What it claims.
        range: Range<u64>,
        /// What there is.
        len: u64,
    },
    /// Two partitions share bytes.
    #[error("partitions {first} and {second} overlap: the partition table is damaged")]
    Overlap {
        /// The one that starts earlier.
        first: u32,
        /// The one that starts later.
        second: u32,
    },
}

impl Classified for TableError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(source) => ErrorClass::of_io(source),
            Self::None => ErrorClass::Usage,
            Self::Damaged { .. } | Self::Outside { .. } | Self::Overlap { .. } => ErrorClass::Damaged,
        }
    }
}

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
        true => (Scheme::Gpt, read_gpt(device)?),
        false => (Scheme::Mbr, mbr::read(&sector)?),
    };
    if found.is_empty() {
        return Err(TableError::None);
    }
    check(&found, device.len())?;
    Ok((scheme, found))
}

fn read_gpt(device: &dyn ReadAt) -> Result<Vec<Partition>, TableError> {
    let primary = gpt_header(device, 1, "header")?;
    // Where the header says, not in the last sector there is: a card is larger than the image on it.
    let backup = gpt_header(device, primary.backup_lba, "backup header")?;
    let agree = primary.current_lba == 1
        && backup.current_lba == primary.backup_lba
        && backup.backup_lba == primary.current_lba
        && backup.disk_guid == primary.disk_guid
        && backup.crc32_parts == primary.crc32_parts;
    if !agree {
        return Err(gpt_damaged("its header and the backup of it differ"));
    }
    let entries = gpt_entries(device, &primary, "entries")?;
    gpt_entries(device, &backup, "backup entries")?;
    let mut partitions = Vec::new();
    for (number, entry) in entries.into_iter().filter(|(_, entry)| entry.is_used()) {
        let sectors = entry.last_lba.checked_sub(entry.first_lba).and_then(|n| n.checked_add(1));
        let range =
            sectors.and_then(|n| Some((entry.first_lba.checked_mul(SECTOR)?, n.checked_mul(SECTOR)?)));
        let (offset, len) =
            range.ok_or_else(|| gpt_damaged(format!("partition {number} ends before it begins")))?;
        if entry.first_lba < primary.first_usable || entry.last_lba > primary.last_usable {
            return Err(gpt_damaged(format!("partition {number} covers the table itself")));
        }
        let kind = match entry.part_type_guid {
            gpt::partition_types::EFI | gpt::partition_types::BASIC => Kind::Fat,
            gpt::partition_types::LINUX_FS => Kind::Linux,
            _ => Kind::Other,
        };
        partitions.push(Partition { number, offset, len, kind });
    }
    Ok(partitions)
}

fn gpt_damaged(why: impl Into<String>) -> TableError {
    TableError::Damaged { scheme: Scheme::Gpt, why: why.into() }
}

/// The header in sector `lba`, if its checksum is right and its numbers are within bounds.
fn gpt_header(device: &dyn ReadAt, lba: u64, what: &str) -> Result<Header, TableError> {
    // The library reads a header from the second sector of what it is given.
    let start = lba.checked_sub(1).and_then(|n| n.checked_mul(SECTOR));
    let window = start.and_then(|start| Window::new(device, start, 2 * SECTOR).ok());
    let window =
        window.ok_or_else(|| gpt_damaged(format!("its {what} would be sector {lba}, outside the disk")))?;
    let header = read_header_from_arbitrary_device(&mut Stream::new(window), LogicalBlockSize::Lb512);
    let header = header.map_err(|e| match e {
        HeaderError::InvalidGptSignature => gpt_damaged(format!("there is no {what} in sector {lba}")),
        HeaderError::InvalidCRC32Checksum => gpt_damaged(format!("the checksum of its {what} is wrong")),
        e => gpt_damaged(format!("reading its {what}: {e}")),
    })?;
    // The library panics on entries of another size. 128 of them is what every tool makes.
    if header.part_size != 128 || header.num_parts > 1024 {
        let (count, size) = (header.num_parts, header.part_size);
        return Err(gpt_damaged(format!("its {what} speaks of {count} entries of {size} bytes")));
    }
    Ok(header)
}

/// The entries that `header` points at, if their checksum is right.
fn gpt_entries(
    device: &dyn ReadAt,
    header: &Header,
    what: &str,
) -> Result<BTreeMap<u32, gpt::partition::Partition>, TableError> {
    file_read_partitions(&mut Stream::new(device), header, LogicalBlockSize::Lb512)
        .map_err(|e| gpt_damaged(format!("reading its {what}: {e}")))
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

#[cfg(test)]
mod tests;
