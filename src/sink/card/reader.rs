//! A card as a block device, for the readers of file systems: at any offset, with other bytes in front.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::device::Card;
use super::layout::UNIT;
use crate::disk::ReadAt;
use crate::io::AlignedBuf;

/// The card for reading, with other bytes in front than are on it yet.
pub(super) struct CardReader {
    card: Arc<dyn Card>,
    len: u64,
    /// What will be the first bytes of the card.
    head: Vec<u8>,
    /// Where the drive did not read, and what it answered first.
    fault: Mutex<Option<(u64, io::Error)>>,
}

impl CardReader {
    /// The first `len` bytes of `card`, as if `head` was already there.
    pub(super) fn new(card: Arc<dyn Card>, len: u64, head: Vec<u8>) -> Self {
        Self { card, len, head, fault: Mutex::default() }
    }

    /// Where the drive did not read, and what it answered. A file system reader may take that for damage.
    pub(super) fn take_fault(&self) -> Option<(u64, io::Error)> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ReadAt for CardReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        // whole sectors, as a drive reads them
        let start = offset - offset % UNIT;
        let whole = end.next_multiple_of(UNIT).min(self.card.len()) - start;
        let mut bytes = AlignedBuf::zeroed(whole as usize);
        self.card.read_at(start, &mut bytes).inspect_err(|error| {
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            // errors of the system cannot be cloned, but for their number
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            fault.get_or_insert((start, copy));
        })?;
        if let Some(over) = self.head.get(start as usize..) {
            let n = over.len().min(bytes.len());
            bytes[..n].copy_from_slice(&over[..n]);
        }
        buf.copy_from_slice(&bytes[(offset - start) as usize..][..buf.len()]);
        Ok(())
    }
}
