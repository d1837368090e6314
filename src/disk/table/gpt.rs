//! The GUID partition table: a header, entries, and a backup of both.

use std::collections::BTreeMap;

use gpt::disk::LogicalBlockSize;
use gpt::header::{Header, HeaderError, read_header_from_arbitrary_device};
use gpt::partition::file_read_partitions;

use super::{Kind, Partition, SECTOR, Scheme, TableError};
use crate::disk::{ReadAt, Stream, Window};

/// The partitions of a table whose header, entries and backup agree.
///
/// # Errors
/// [`TableError::Damaged`]
pub(super) fn read(device: &dyn ReadAt) -> Result<Vec<Partition>, TableError> {
    let primary = header(device, 1, "header")?;
    // Where the header says, not in the last sector there is: a card is larger than the image on it.
    let backup = header(device, primary.backup_lba, "backup header")?;
    let agree = primary.current_lba == 1
        && backup.current_lba == primary.backup_lba
        && backup.backup_lba == primary.current_lba
        && backup.disk_guid == primary.disk_guid
        && backup.crc32_parts == primary.crc32_parts;
    if !agree {
        return Err(damaged("its header and the backup of it differ"));
    }
    let found = entries(device, &primary, "entries")?;
    entries(device, &backup, "backup entries")?;
    let mut partitions = Vec::new();
    for (number, entry) in found.into_iter().filter(|(_, entry)| entry.is_used()) {
        let sectors = entry.last_lba.checked_sub(entry.first_lba).and_then(|n| n.checked_add(1));
        let range =
            sectors.and_then(|n| Some((entry.first_lba.checked_mul(SECTOR)?, n.checked_mul(SECTOR)?)));
        let (offset, len) =
            range.ok_or_else(|| damaged(format!("partition {number} ends before it begins")))?;
        if entry.first_lba < primary.first_usable || entry.last_lba > primary.last_usable {
            return Err(damaged(format!("partition {number} covers the table itself")));
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

pub(super) fn damaged(why: impl Into<String>) -> TableError {
    TableError::Damaged { scheme: Scheme::Gpt, why: why.into() }
}

/// The header in sector `lba`, if its checksum is right and its numbers are within bounds.
fn header(device: &dyn ReadAt, lba: u64, what: &str) -> Result<Header, TableError> {
    // The library reads a header from the second sector of what it is given.
    let start = lba.checked_sub(1).and_then(|n| n.checked_mul(SECTOR));
    let window = start.and_then(|start| Window::new(device, start, 2 * SECTOR).ok());
    let window =
        window.ok_or_else(|| damaged(format!("its {what} would be sector {lba}, outside the disk")))?;
    let header = read_header_from_arbitrary_device(&mut Stream::new(window), LogicalBlockSize::Lb512);
    let header = header.map_err(|e| match e {
        HeaderError::InvalidGptSignature => damaged(format!("there is no {what} in sector {lba}")),
        HeaderError::InvalidCRC32Checksum => damaged(format!("the checksum of its {what} is wrong")),
        e => damaged(format!("reading its {what}: {e}")),
    })?;
    // The library panics on entries of another size. 128 of them is what every tool makes.
    if header.part_size != 128 || header.num_parts > 1024 {
        let (count, size) = (header.num_parts, header.part_size);
        return Err(damaged(format!("its {what} speaks of {count} entries of {size} bytes")));
    }
    Ok(header)
}

/// The entries that `header` points at, if their checksum is right.
fn entries(
    device: &dyn ReadAt,
    header: &Header,
    what: &str,
) -> Result<BTreeMap<u32, gpt::partition::Partition>, TableError> {
    file_read_partitions(&mut Stream::new(device), header, LogicalBlockSize::Lb512)
        .map_err(|e| damaged(format!("reading its {what}: {e}")))
}
