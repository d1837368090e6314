//! The device as the ext4 editor wants it, with the journal set aside.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::disk::{Limited, Overlay, Ranges, ReadAt, WriteAt};

/// A device for the editor. What it writes to the journal is kept apart and dropped at the end:
/// after a clean close nothing of it is ever read, so the journal stays as it is in the base, and
/// every change is carried once instead of twice.
pub(super) struct Device<D: WriteAt> {
    device: Arc<Limited<D>>,
    journal: OnceLock<Journal<D>>,
}

struct Journal<D: WriteAt> {
    /// The bytes that it occupies.
    ranges: Ranges,
    scratch: Overlay<Arc<Limited<D>>>,
}

impl<D: WriteAt> Device<D> {
    /// `device`, for a number of transfers.
    pub(super) fn new(device: D, transfers: u64) -> Self {
        Self { device: Arc::new(Limited::new(device, transfers)), journal: OnceLock::new() }
    }

    /// From now on, what is written to `ranges` goes no further.
    pub(super) fn set_journal_aside(&self, ranges: Ranges) {
        let scratch = Overlay::new(Arc::clone(&self.device));
        let _ = self.journal.set(Journal { ranges, scratch });
    }

    /// Calls `transfer` for each piece of a range, with the device that the piece belongs to.
    fn each(
        &self,
        offset: u64,
        len: usize,
        mut transfer: impl FnMut(&dyn WriteAt, u64, Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(journal) = self.journal.get() else { return transfer(&self.device, offset, 0..len) };
        let end = offset.checked_add(len as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        let within = |at: u64| (at - offset) as usize;
        for range in journal.ranges.within(offset..end) {
            if range.start > at {
                transfer(&self.device, at, within(at)..within(range.start))?;
            }
            transfer(&journal.scratch, range.start, within(range.start)..within(range.end))?;
            at = range.end;
        }
        if at < end {
            transfer(&self.device, at, within(at)..len)?;
        }
        Ok(())
    }
}

impl<D: WriteAt> fs_ext4::block_io::BlockDevice for Device<D> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> fs_ext4::Result<()> {
        let len = buf.len();
        self.each(offset, len, |device, at, part| device.read_at(at, &mut buf[part]))
            .map_err(fs_ext4::Error::Io)
    }
    fn size_bytes(&self) -> u64 {
        self.device.len()
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> fs_ext4::Result<()> {
        self.each(offset, buf.len(), |device, at, part| device.write_at(at, &buf[part]))
            .map_err(fs_ext4::Error::Io)
    }
    fn is_writable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDevice;
    use fs_ext4::block_io::BlockDevice as _;
    use proptest::prelude::*;

    const LEN: usize = 20_000;

    proptest! {
        #[test]
        fn the_journal_reads_as_written_and_the_device_keeps_its_own(
            cuts in proptest::collection::btree_set(0u64..LEN as u64, 4),
            writes in proptest::collection::vec((0usize..LEN, 0usize..9_000, 1u8..), 1..10),
        ) {
            let cuts: Vec<u64> = cuts.into_iter().collect();
            let ranges = vec![cuts[2]..cuts[3], cuts[0]..cuts[1]];
            let below = Arc::new(MemoryDevice::new(vec![0; LEN]));
            let device = Device::new(Arc::clone(&below), 10_000);
            device.set_journal_aside(Ranges::from_iter(ranges.clone()));
            let mut model = vec![0; LEN];
            for (offset, len, byte) in writes {
                let len = len.min(LEN - offset);
                device.write_at(offset as u64, &vec![byte; len]).unwrap();
                model[offset..offset + len].fill(byte);
            }
            let mut seen = vec![0; LEN];
            device.read_at(0, &mut seen).unwrap();
            prop_assert_eq!(&seen, &model);
            for range in ranges {
                model[range.start as usize..range.end as usize].fill(0);
            }
            below.read_at(0, &mut seen).unwrap();
            prop_assert_eq!(&seen, &model);
        }
    }
}
