//! A GPT under way: its header and entries, changed, and written back with all their checksums.

use super::gpt::damaged;
use super::{SECTOR, TableError};
use crate::disk::{ReadAt, WriteAt};
use crate::io::le;

/// Where a header has its fields (UEFI specification, "GPT Header").
const LEN: usize = 0xc;
const CHECKSUM: usize = 0x10;
const CURRENT: usize = 0x18;
pub(super) const BACKUP: usize = 0x20;
pub(super) const FIRST_USABLE: usize = 0x28;
pub(super) const LAST_USABLE: usize = 0x30;
pub(super) const DISK_GUID: usize = 0x38;
const ENTRIES: usize = 0x48;
const ENTRY_COUNT: usize = 0x50;
const ENTRIES_CHECKSUM: usize = 0x58;

/// A header has more than this in no version that there is.
const HEADER_LEN: usize = 92;
const ENTRY_LEN: usize = 128;

pub(super) type Sector = [u8; SECTOR as usize];

pub(super) fn read_sector(device: &dyn ReadAt, sector: u64) -> Result<Sector, TableError> {
    let mut bytes = [0; SECTOR as usize];
    device.read_at(sector * SECTOR, &mut bytes).map_err(TableError::Read)?;
    Ok(bytes)
}

pub(super) fn write_sector(device: &dyn WriteAt, sector: u64, bytes: &Sector) -> Result<(), TableError> {
    device.write_at(sector * SECTOR, bytes).map_err(TableError::Write)
}

/// The header and the entries of a table.
pub(super) struct GptEdit {
    header: Sector,
    entries: Vec<u8>,
}

impl GptEdit {
    /// Of a table that [`super::partitions`] has read: its checksums are right. What it says of itself is looked at here,
    /// before it is carried on.
    pub(super) fn read(device: &dyn ReadAt) -> Result<Self, TableError> {
        let mut table = Self { header: read_sector(device, 1)?, entries: Vec::new() };
        if table.count(LEN) != HEADER_LEN {
            return Err(damaged("its header has not the length that it should have"));
        }
        table.entries = vec![0; table.count(ENTRY_COUNT) * ENTRY_LEN];
        let (first, usable) = (table.number(ENTRIES), table.number(FIRST_USABLE));
        if first < 2 || first.saturating_add(table.entry_sectors()) > usable {
            return Err(damaged("its entries lie among the partitions"));
        }
        device.read_at(first * SECTOR, &mut table.entries).map_err(TableError::Read)?;
        Ok(table)
    }

    /// Sectors that the entries take.
    pub(super) fn entry_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(SECTOR)
    }

    /// A field of eight bytes in the header. No field lies behind the end of a sector.
    pub(super) fn number(&self, at: usize) -> u64 {
        le::u64(&self.header, at).unwrap_or(0)
    }

    fn count(&self, at: usize) -> usize {
        le::u32(&self.header, at).unwrap_or(0) as usize
    }

    /// Changes a field of the header.
    pub(super) fn set(&mut self, at: usize, bytes: &[u8]) {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The entry of partition `number`.
    ///
    /// # Errors
    /// [`TableError::Damaged`] where the table has fewer entries.
    pub(super) fn entry(&mut self, number: u32) -> Result<&mut [u8; ENTRY_LEN], TableError> {
        let (entries, _) = self.entries.as_chunks_mut();
        let entry = (number as usize).checked_sub(1).and_then(|at| entries.get_mut(at));
        entry.ok_or_else(|| damaged("it has fewer entries than partitions"))
    }

    /// Writes the table, and its backup with the header in sector `backup` and the entries from `backup_entries` on.
    pub(super) fn write(
        mut self,
        device: &dyn WriteAt,
        backup: u64,
        backup_entries: u64,
    ) -> Result<(), TableError> {
        let first_entry = self.number(ENTRIES);
        self.set(ENTRIES_CHECKSUM, &crc32(&self.entries));
        // the backup first, for the header at the start is what counts
        for (current, other, entries_at) in [(backup, 1, backup_entries), (1, backup, first_entry)] {
            for (field, value) in [(CURRENT, current), (BACKUP, other), (ENTRIES, entries_at)] {
                self.set(field, &value.to_le_bytes());
            }
            self.set(CHECKSUM, &[0; 4]);
            let sum = crc32(&self.header[..HEADER_LEN]);
            self.set(CHECKSUM, &sum);
            device.write_at(entries_at * SECTOR, &self.entries).map_err(TableError::Write)?;
            write_sector(device, current, &self.header)?;
        }
        Ok(())
    }

    /// Writes the table and its backup where they are.
    pub(super) fn write_back(self, device: &dyn WriteAt) -> Result<(), TableError> {
        let backup = self.number(BACKUP);
        let header = read_sector(device, backup)?;
        let at = le::u64(&header, ENTRIES).unwrap_or(0);
        if at <= self.number(LAST_USABLE) {
            return Err(damaged("the entries of its backup lie among the partitions"));
        }
        self.write(device, backup, at)
    }
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}
