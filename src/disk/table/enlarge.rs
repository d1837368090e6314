//! Making the last partition as large as its disk, in either kind of table.

use super::gpt::damaged;
use super::gpt_edit::{BACKUP, GptEdit, LAST_USABLE, read_sector, write_sector};
use super::{Partition, SECTOR, Scheme, TableError, mbr, partitions};
use crate::disk::WriteAt;

/// Sectors at the end of a disk with an MBR that are left free, as growpart leaves them: a backup of a GPT
/// would go there if the table were ever converted.
const FREE_AT_END: u64 = 33;
/// Where an entry has the number of its last sector.
const LAST_SECTOR: usize = 0x28;

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
    let mut boot_record = read_sector(device, 0)?;
    let end = match scheme {
        Scheme::Mbr if mbr::is_extended(&boot_record, number) => {
            return Err(fixed("it is an extended one, which others lie in"));
        }
        Scheme::Mbr => {
            let end =
                mbr::set_end(&mut boot_record, number, (device.len() / SECTOR).saturating_sub(FREE_AT_END));
            write_sector(device, 0, &boot_record)?;
            end
        }
        Scheme::Gpt if mbr::is_hybrid(&boot_record) => {
            return Err(fixed("an MBR beside the GPT describes it, too (a hybrid table)"));
        }
        Scheme::Gpt => {
            let end = enlarge_gpt(device, number)?;
            mbr::set_protected(&mut boot_record, device.len() / SECTOR);
            write_sector(device, 0, &boot_record)?;
            end
        }
    };
    Ok(Partition { len: end * SECTOR - partition.offset, ..partition.clone() })
}

/// Returns the sector behind the partition. The table has been read, and its checksums are right.
fn enlarge_gpt(device: &dyn WriteAt, number: u32) -> Result<u64, TableError> {
    let mut table = GptEdit::read(device)?;
    let old_backup = table.number(BACKUP);
    let backup = device.len() / SECTOR - 1;
    let backup_entries = backup.saturating_sub(table.entry_sectors());
    let last = backup_entries.saturating_sub(1);
    if table.number(LAST_USABLE) > last {
        return Err(damaged("partitions may cover its backup"));
    }
    let entry = table.entry(number)?;
    entry[LAST_SECTOR..LAST_SECTOR + 8].copy_from_slice(&last.to_le_bytes());
    table.set(LAST_USABLE, &last.to_le_bytes());
    table.write(device, backup, backup_entries)?;
    // what was the backup lies within the partition now
    if old_backup < last {
        write_sector(device, old_backup, &[0; SECTOR as usize])?;
    }
    Ok(last + 1)
}
