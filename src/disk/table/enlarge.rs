//! Making the last partition as large as its disk, in either kind of table.

use super::{Partition, SECTOR, Scheme, TableError, mbr, partitions};
use crate::disk::WriteAt;
use crate::io::le;

/// Where a GPT header has its numbers (UEFI specification, "GPT Header").
mod header {
    pub(super) const LEN: usize = 0xc;
    pub(super) const CHECKSUM: usize = 0x10;
    pub(super) const CURRENT: usize = 0x18;
    pub(super) const BACKUP: usize = 0x20;
    pub(super) const FIRST_USABLE: usize = 0x28;
    pub(super) const LAST_USABLE: usize = 0x30;
    pub(super) const ENTRIES: usize = 0x48;
    pub(super) const ENTRY_COUNT: usize = 0x50;
    pub(super) const ENTRIES_CHECKSUM: usize = 0x58;
}
/// A header has more than this in no version that there is.
const HEADER_LEN: usize = 92;
const ENTRY_LEN: usize = 128;
/// Sectors at the end of a disk with an MBR that are left free, as growpart leaves them: a backup of a GPT
/// would go there if the table were ever converted.
const FREE_AT_END: u64 = 33;
/// Where an entry has the number of its last sector.
const LAST_SECTOR: usize = 0x28;

type Sector = [u8; SECTOR as usize];

/// Makes partition `number` of the table on `device` end where the disk does, moves a GPT's backup there, and
/// returns the partition as it is now: as `growpart` would make it. It never becomes smaller, and what lies in
/// it is not touched.
///
/// # Errors
/// [`TableError`]: what [`partitions`] answers, [`TableError::Fixed`] if it is not the last partition, or of a
/// kind that has more to it than one entry.
pub fn enlarge(device: &dyn WriteAt, number: u32) -> Result<Partition, TableError> {
    let (scheme, found) = partitions(device)?;
    let fixed = |why: &str| TableError::Fixed { number, why: why.to_owned() };
    let Some(partition) = found.iter().find(|p| p.number == number) else {
        return Err(fixed("there is none with this number"));
    };
    if found.iter().any(|other| other.offset > partition.offset) {
        return Err(fixed("another one lies behind it"));
    }
    let mut boot_record = read(device, 0)?;
    let end = match scheme {
        Scheme::Mbr if mbr::is_extended(&boot_record, number) => {
            return Err(fixed("it is an extended one, which others lie in"));
        }
        Scheme::Mbr => {
            let end =
                mbr::set_end(&mut boot_record, number, (device.len() / SECTOR).saturating_sub(FREE_AT_END));
            write(device, 0, &boot_record)?;
            end
        }
        Scheme::Gpt if mbr::is_hybrid(&boot_record) => {
            return Err(fixed("an MBR beside the GPT describes it, too (a hybrid table)"));
        }
        Scheme::Gpt => {
            let end = enlarge_gpt(device, number)?;
            mbr::set_protected(&mut boot_record, device.len() / SECTOR);
            write(device, 0, &boot_record)?;
            end
        }
    };
    Ok(Partition { len: end * SECTOR - partition.offset, ..partition.clone() })
}

fn read(device: &dyn WriteAt, sector: u64) -> Result<Sector, TableError> {
    let mut bytes = [0; SECTOR as usize];
    device.read_at(sector * SECTOR, &mut bytes).map_err(TableError::Read)?;
    Ok(bytes)
}

fn write(device: &dyn WriteAt, sector: u64, bytes: &Sector) -> Result<(), TableError> {
    device.write_at(sector * SECTOR, bytes).map_err(TableError::Write)
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// Returns the sector behind the partition. The table has been read, and its checksums are right; what it says
/// of itself is looked at here, before it is carried on.
fn enlarge_gpt(device: &dyn WriteAt, number: u32) -> Result<u64, TableError> {
    let mut raw = read(device, 1)?;
    // no field lies behind the end of a sector
    let number_at = |at| le::u64(&raw, at).unwrap_or(0);
    let count_at = |at| le::u32(&raw, at).unwrap_or(0) as usize;
    let (old_backup, first_entry) = (number_at(header::BACKUP), number_at(header::ENTRIES));
    let mut entries = vec![0; count_at(header::ENTRY_COUNT) * ENTRY_LEN];
    let entry_sectors = (entries.len() as u64).div_ceil(SECTOR);
    let backup = device.len() / SECTOR - 1;
    let backup_entries = backup.saturating_sub(entry_sectors);
    let last = backup_entries.saturating_sub(1);

    let damaged = |why: &str| TableError::Damaged { scheme: Scheme::Gpt, why: why.to_owned() };
    if count_at(header::LEN) != HEADER_LEN {
        return Err(damaged("its header has not the length that it should have"));
    }
    let entries_end = first_entry.saturating_add(entry_sectors);
    if first_entry < 2 || entries_end > number_at(header::FIRST_USABLE) {
        return Err(damaged("its entries lie among the partitions"));
    }
    if number_at(header::LAST_USABLE) > last {
        return Err(damaged("partitions may cover its backup"));
    }
    device.read_at(first_entry * SECTOR, &mut entries).map_err(TableError::Read)?;
    let at = (number as usize - 1) * ENTRY_LEN + LAST_SECTOR;
    entries[at..at + 8].copy_from_slice(&last.to_le_bytes());
    raw[header::LAST_USABLE..header::LAST_USABLE + 8].copy_from_slice(&last.to_le_bytes());
    raw[header::ENTRIES_CHECKSUM..header::ENTRIES_CHECKSUM + 4].copy_from_slice(&crc32(&entries));
    // the backup first, for the header at the start is what counts
    for (current, other, entries_at) in [(backup, 1, backup_entries), (1, backup, first_entry)] {
        for (field, value) in
            [(header::CURRENT, current), (header::BACKUP, other), (header::ENTRIES, entries_at)]
        {
            raw[field..field + 8].copy_from_slice(&value.to_le_bytes());
        }
        raw[header::CHECKSUM..header::CHECKSUM + 4].fill(0);
        let sum = crc32(&raw[..HEADER_LEN]);
        raw[header::CHECKSUM..header::CHECKSUM + 4].copy_from_slice(&sum);
        device.write_at(entries_at * SECTOR, &entries).map_err(TableError::Write)?;
        write(device, current, &raw)?;
    }
    // what was the backup lies within the partition now
    if old_backup < last {
        write(device, old_backup, &[0; SECTOR as usize])?;
    }
    Ok(last + 1)
}
