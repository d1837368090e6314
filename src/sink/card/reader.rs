//! A card as a block device, for the readers of file systems: any offset, and what was read lately is
//! not read again.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::device::Card;
use crate::disk::ReadAt;

/// Bytes that are read at once, and remembered.
const BLOCK: u64 = 64 * 1024;
const REMEMBERED: usize = 64;

/// The card for reading, with other bytes in front than are on it yet.
pub(super) struct CardReader {
    card: Arc<dyn Card>,
    len: u64,
    /// What will be the first bytes of the card.
    head: Vec<u8>,
    recent: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
    /// Where the drive did not read, and what it answered first.
    fault: Mutex<Option<(u64, io::Error)>>,
}

impl CardReader {
    /// The first `len` bytes of `card`, as if `head` was already there.
    pub(super) fn new(card: Arc<dyn Card>, len: u64, head: Vec<u8>) -> Self {
        Self { card, len, head, recent: Mutex::default(), fault: Mutex::default() }
    }

    /// Where the drive did not read, and what it answered. A file system reader may take that for damage.
    pub(super) fn take_fault(&self) -> Option<(u64, io::Error)> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn block(&self, number: u64) -> io::Result<Arc<Vec<u8>>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = recent.iter().find(|(n, _)| *n == number) {
            return Ok(Arc::clone(block));
        }
        let offset = number * BLOCK;
        let there = self.card.len().saturating_sub(offset).min(BLOCK) as usize;
        let mut bytes = vec![0; there];
        self.card.read_at(offset, &mut bytes).inspect_err(|error| {
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            // errors of the system cannot be cloned, but for their number
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            fault.get_or_insert((offset, copy));
        })?;
        if let Some(over) = self.head.get(offset as usize..) {
            let n = over.len().min(bytes.len());
            bytes[..n].copy_from_slice(&over[..n]);
        }
        let block = Arc::new(bytes);
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back((number, Arc::clone(&block)));
        Ok(block)
    }
}

impl ReadAt for CardReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        while !buf.is_empty() {
            let block = self.block(at / BLOCK)?;
            let within = (at % BLOCK) as usize;
            let there = block.get(within..).filter(|b| !b.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
            let n = there.len().min(buf.len());
            let (now, later) = buf.split_at_mut(n);
            now.copy_from_slice(&there[..n]);
            at += n as u64;
            buf = later;
        }
        Ok(())
    }
}
