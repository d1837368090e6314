//! The master boot record: four entries of 16 bytes in the first sector of a disk.
//!
//! Read by hand: the format has not changed since 1983. An entry is the boot flag, the first sector
//! by cylinder, head and sector (3 bytes), the type, the last sector likewise, the first sector by
//! number and the count of sectors, both little-endian. Offsets and types are those of sfdisk and
//! of Linux (`block/partitions/msdos.c`).

use super::{Kind, Partition, SECTOR, Scheme, TableError};
use crate::io::le;

/// The last two bytes of the sector.
pub(super) const SIGNATURE: [u8; 2] = [0x55, 0xaa];

const ENTRIES: usize = 446;
const ENTRY_LEN: usize = 16;
/// The only two boot flags there are: not the partition to boot from, and the one.
const BOOT_FLAGS: [u8; 2] = [0x00, 0x80];
/// By which an MBR says that a GPT follows.
const PROTECTIVE: u8 = 0xee;
const UNUSED: u8 = 0x00;

struct Entry {
    boot: u8,
    kind: u8,
    first: u32,
    sectors: u32,
}

fn entries(sector: &[u8; SECTOR as usize]) -> impl Iterator<Item = (u32, Entry)> {
    let parse = |raw: &[u8]| {
        Some(Entry { boot: raw[0], kind: raw[4], first: le::u32(raw, 8)?, sectors: le::u32(raw, 12)? })
    };
    (1..).zip(sector[ENTRIES..510].chunks_exact(ENTRY_LEN).filter_map(parse))
}

/// Whether an entry says that a GPT follows.
pub(super) fn is_protective(sector: &[u8; SECTOR as usize]) -> bool {
    entries(sector).any(|(_, entry)| entry.kind == PROTECTIVE)
}

/// The partitions of the table in `sector`, whose signature has been checked. Logical partitions,
/// which lie in chains within an extended one, are left out: no Pi image has any. An entry is used
/// if it has a type and at least one sector; Linux, too, makes no partition of one without sectors.
///
/// # Errors
/// [`TableError::Damaged`] for an entry, used or not, with an impossible boot flag: what is there is
/// the boot sector of a file system, or garbage.
pub(super) fn read(sector: &[u8; SECTOR as usize]) -> Result<Vec<Partition>, TableError> {
    if let Some((number, entry)) = entries(sector).find(|(_, entry)| !BOOT_FLAGS.contains(&entry.boot)) {
        let why = format!("entry {number} has the boot flag {:#04x}, which must be 0x00 or 0x80", entry.boot);
        return Err(TableError::Damaged { scheme: Scheme::Mbr, why });
    }
    let used = entries(sector).filter(|(_, entry)| entry.kind != UNUSED && entry.sectors != 0);
    let partitions = used.map(|(number, entry)| Partition {
        number,
        offset: u64::from(entry.first) * SECTOR,
        len: u64::from(entry.sectors) * SECTOR,
        kind: match entry.kind {
            // FAT12, FAT16 and FAT32 with and without LBA, and the EFI system partition
            0x01 | 0x04 | 0x06 | 0x0b | 0x0c | 0x0e | 0xef => Kind::Fat,
            0x83 => Kind::Linux,
            _ => Kind::Other,
        },
    });
    Ok(partitions.collect())
}
