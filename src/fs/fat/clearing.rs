//! A device on which every cluster is cleared when it is taken.
//!
//! The library clears the clusters of new directories, and not the one by which the root directory
//! of a FAT32 grows: what a deleted file left there would be read as entries. Instead of telling the
//! cases apart, this looks at the allocation table: an entry that was zero and is not any more is a
//! cluster that somebody has just taken.

use std::io;
use std::ops::Range;

use super::bpb::{Bpb, table_entry};
use crate::disk::{ReadAt, WriteAt, cut};

/// At most this much is cleared by one transfer.
const PIECE: u64 = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Clearing<D> {
    device: D,
    /// Where in the first table the entries of clusters that can hold data are.
    entries: Range<u64>,
    entry_len: u64,
    data_offset: u64,
    cluster_len: u64,
}

impl<D: WriteAt> Clearing<D> {
    pub(super) fn new(device: D, bpb: &Bpb) -> Self {
        let entry_len = bpb.entry_len();
        let first = bpb.fat_offset + 2 * entry_len;
        Self {
            device,
            entries: first..first + bpb.clusters * entry_len,
            entry_len,
            data_offset: bpb.data_offset,
            cluster_len: bpb.cluster_len,
        }
    }

    fn clear(&self, index: u64) -> io::Result<()> {
        let start = self.data_offset + index * self.cluster_len;
        let zeros = vec![0; self.cluster_len.min(PIECE) as usize];
        cut(start..start + self.cluster_len, PIECE).try_for_each(|piece| {
            self.device.write_at(piece.start, &zeros[..(piece.end - piece.start) as usize])
        })
    }
}

impl<D: WriteAt> ReadAt for Clearing<D> {
    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, buf)
    }
}

impl<D: WriteAt> WriteAt for Clearing<D> {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(buf.len() as u64).min(self.entries.end);
        let first = offset.max(self.entries.start);
        // whole entries; the library writes one at a time
        let mut at = first.next_multiple_of(self.entry_len);
        while at + self.entry_len <= end {
            let within = (at - offset) as usize;
            let new = &buf[within..within + self.entry_len as usize];
            let mut old = [0; 4];
            let old = &mut old[..self.entry_len as usize];
            self.device.read_at(at, old)?;
            if table_entry(new) != 0 && table_entry(old) == 0 {
                self.clear((at - self.entries.start) / self.entry_len)?;
            }
            at += self.entry_len;
        }
        self.device.write_at(offset, buf)
    }
}
