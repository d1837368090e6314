//! What Linux tells disks and their partitions apart by: an id in the table, which copies of an image share.

use std::fmt;

use super::gpt_edit::{DISK_GUID, GptEdit, read_sector, write_sector};
use super::{Scheme, TableError, mbr, partitions};
use crate::disk::{ReadAt, WriteAt};
use crate::io::le;

/// Where an MBR has the id of its disk: four bytes, little-endian (`NT disk signature` of Linux' `block/partitions/msdos.c`).
const MBR_ID: usize = 0x1b8;
/// Where a GPT's entry has the id of its partition.
const UNIQUE_GUID: std::ops::Range<usize> = 0x10..0x20;

/// What an id is made of; its first four bytes in an MBR, all of them in a GPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskId([u8; 16]);

impl DiskId {
    /// Of bytes that no other disk is likely to have.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Zero would be no id.
    fn for_mbr(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    /// The bytes of the GUID of partition `number`, or of the disk itself for 0: a UUID of RFC 9562's version 8, whose bytes
    /// are its maker's own.
    fn guid(self, number: u32) -> [u8; 16] {
        let mut bytes = self.0;
        for (byte, other) in bytes[12..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= other;
        }
        // the third field, whose first bits are the version, is little-endian
        bytes[7] = 0x80 | bytes[7] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        bytes
    }
}

/// The id of a partition, as Linux writes it in `/dev/disk/by-partuuid`: `1a2b3c4d-02`, or a UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionId(String);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives the disk and each of its partitions the ids that are made of `id`.
///
/// # Errors
/// [`TableError`]
pub fn identify(device: &dyn WriteAt, id: DiskId) -> Result<(), TableError> {
    let (scheme, found) = partitions(device)?;
    match scheme {
        Scheme::Mbr => {
            let mut boot_record = read_sector(device, 0)?;
            boot_record[MBR_ID..MBR_ID + 4].copy_from_slice(&id.for_mbr().to_le_bytes());
            write_sector(device, 0, &boot_record)
        }
        Scheme::Gpt => {
            let mut table = GptEdit::read(device)?;
            table.set(DISK_GUID, &id.guid(0));
            for partition in found {
                table.entry(partition.number)?[UNIQUE_GUID].copy_from_slice(&id.guid(partition.number));
            }
            table.write_back(device)
        }
    }
}

/// The id of partition `number`, which [`partitions`] has found.
///
/// # Errors
/// [`TableError`]
pub fn partition_id(device: &dyn ReadAt, number: u32) -> Result<PartitionId, TableError> {
    let boot_record = read_sector(device, 0)?;
    if !mbr::is_protective(&boot_record) {
        let id = le::u32(&boot_record, MBR_ID).unwrap_or(0);
        return Ok(PartitionId(format!("{id:08x}-{number:02x}")));
    }
    let mut table = GptEdit::read(device)?;
    let guid = &table.entry(number)?[UNIQUE_GUID];
    let first = le::u32(guid, 0).unwrap_or(0);
    let [second, third] = [4, 6].map(|at| le::u16(guid, at).unwrap_or(0));
    let [clock, node] = [8..10, 10..16].map(|bytes| hex::encode(&guid[bytes]));
    Ok(PartitionId(format!("{first:08x}-{second:04x}-{third:04x}-{clock}-{node}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_made_of_the_id_and_differ_by_number() {
        let id = DiskId::new(*b"0123456789abcdef");
        let [disk, first, second] = [0, 1, 2].map(|number| id.guid(number));
        assert!(disk != first && first != second && disk != second);
        // as Linux prints it, the version is the first digit of the third group, the variant that of the fourth
        assert_eq!((disk[7] >> 4, disk[8] >> 6), (8, 2));
        assert_eq!(DiskId::new([0; 16]).for_mbr(), 1);
    }
}
