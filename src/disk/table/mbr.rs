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

/// Whether other entries are used beside the one that says that a GPT follows.
pub(super) fn is_hybrid(sector: &[u8; SECTOR as usize]) -> bool {
    entries(sector).any(|(_, entry)| entry.kind != PROTECTIVE && entry.kind != UNUSED)
}

/// Whether an entry stands for the partitions that lie in it, for DOS, Windows or Linux.
pub(super) fn is_extended(sector: &[u8; SECTOR as usize], number: u32) -> bool {
    entries(sector).any(|(n, entry)| n == number && [0x05, 0x0f, 0x85].contains(&entry.kind))
}

/// Makes the partition of entry `number` end before sector `end`, or as far as 32 bits reach; it never
/// becomes shorter. Returns where it ends.
pub(super) fn set_end(sector: &mut [u8; SECTOR as usize], number: u32, end: u64) -> u64 {
    let Some((_, Entry { first, sectors, .. })) = entries(sector).find(|(n, _)| *n == number) else {
        return end;
    };
    let wanted = end.saturating_sub(first.into());
    let sectors = u32::try_from(wanted).unwrap_or(u32::MAX).max(sectors);
    let end = u64::from(first) + u64::from(sectors);
    let raw = &mut sector[ENTRIES + ENTRY_LEN * (number as usize - 1)..][..ENTRY_LEN];
    raw[5..8].copy_from_slice(&by_cylinder(end - 1));
    raw[12..16].copy_from_slice(&sectors.to_le_bytes());
    end
}

/// Makes the entry that says that a GPT follows cover a disk of this many sectors.
pub(super) fn set_protected(sector: &mut [u8; SECTOR as usize], sectors: u64) {
    let found = entries(sector).find(|(_, entry)| entry.kind == PROTECTIVE).map(|(number, _)| number);
    if let Some(number) = found {
        set_end(sector, number, sectors);
    }
}

/// A sector by cylinder, head and sector, on the disk of 255 heads and 63 sectors that sfdisk takes for
/// granted; those beyond its 1024 cylinders are all the same.
fn by_cylinder(sector: u64) -> [u8; 3] {
    let (track, cylinder) = (sector / 63, sector / 63 / 255);
    match u16::try_from(cylinder) {
        Ok(cylinder) if cylinder < 1024 => {
            let [low, high] = cylinder.to_le_bytes();
            [(track % 255) as u8, (sector % 63 + 1) as u8 | high << 6, low]
        }
        _ => [0xfe, 0xff, 0xff],
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_by_cylinder_are_those_of_sfdisk() {
        for (sector, bytes) in [
            (0, [0, 1, 0]),
            (63, [1, 1, 0]),
            // the second MiB, where sfdisk puts a first partition
            (2048, [32, 33, 0]),
            (255 * 63 * 256, [0, 0x41, 0]),
            (255 * 63 * 1024 - 1, [254, 0xff, 0xff]),
            (255 * 63 * 1024, [0xfe, 0xff, 0xff]),
            (u64::from(u32::MAX), [0xfe, 0xff, 0xff]),
        ] {
            assert_eq!(by_cylinder(sector), bytes, "sector {sector}");
        }
    }

    #[test]
    fn an_entry_ends_where_it_is_told_and_never_earlier() {
        let mut sector = [0; SECTOR as usize];
        sector[446 + 16 + 4] = 0x83;
        sector[446 + 16 + 8..446 + 16 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
        assert_eq!(set_end(&mut sector, 2, 100), 4096);
        assert_eq!(set_end(&mut sector, 2, 10_000), 10_000);
        assert_eq!(sector[446 + 16 + 12..446 + 16 + 16], (10_000_u32 - 2048).to_le_bytes());
        assert_eq!(set_end(&mut sector, 2, 1 << 40), 2048 + u64::from(u32::MAX));
    }
}
