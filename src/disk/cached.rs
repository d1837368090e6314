//! A base whose blocks are read once, for those who read a few bytes at a time.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ReadAt, check_range};

/// How many bytes are kept. What walks a FAT entry by entry needs a few dozen blocks of 4 KiB.
const KEPT: usize = 4 << 20;

/// A device that nobody writes, with the blocks of its small reads kept in memory: reading a FAT
/// chain is thousands of reads of four bytes from the same few blocks, each a system call without
/// this. Reads of a block or more pass through.
#[derive(Debug)]
pub struct Cached<D> {
    device: D,
    /// Bytes in a block.
    size: usize,
    blocks: Mutex<HashMap<u64, Arc<[u8]>>>,
}

impl<D: ReadAt> Cached<D> {
    /// `device`, which must not change as long as this is used, read in blocks of `size` bytes.
    pub fn new(device: D, size: usize) -> Self {
        Self { device, size, blocks: Mutex::default() }
    }

    fn block(&self, number: u64) -> io::Result<Arc<[u8]>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = blocks.get(&number) {
            return Ok(Arc::clone(block));
        }
        let offset = number * self.size as u64;
        let there = self.len().saturating_sub(offset).min(self.size as u64) as usize;
        let mut bytes = vec![0; there];
        self.device.read_at(offset, &mut bytes)?;
        if blocks.len() >= KEPT / self.size {
            // Which of them are needed again is not worth keeping books on: they are read again.
            blocks.clear();
        }
        let block: Arc<[u8]> = bytes.into();
        blocks.insert(number, Arc::clone(&block));
        Ok(block)
    }
}

impl<D: ReadAt> ReadAt for Cached<D> {
    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        if buf.len() >= self.size {
            return self.device.read_at(offset, buf);
        }
        while !buf.is_empty() {
            let block = self.block(offset / self.size as u64)?;
            let there = &block[(offset % self.size as u64) as usize..];
            let (now, later) = buf.split_at_mut(there.len().min(buf.len()));
            now.copy_from_slice(&there[..now.len()]);
            offset += now.len() as u64;
            buf = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryDevice, OVERLAY_BLOCK};
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LEN: usize = 3 * OVERLAY_BLOCK + 100;

    struct Counted(MemoryDevice, AtomicUsize);

    impl ReadAt for Counted {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n / 7) as u8).collect()
    }

    fn device(len: usize) -> Cached<Counted> {
        Cached::new(Counted(MemoryDevice::new(bytes(len)), AtomicUsize::new(0)), OVERLAY_BLOCK)
    }

    #[test]
    fn small_reads_of_a_block_are_one() {
        let device = device(LEN);
        let mut byte = [0];
        for at in 0..LEN as u64 {
            device.read_at(at, &mut byte).unwrap();
        }
        assert_eq!(device.device.1.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn it_keeps_no_more_than_it_may() {
        let device = device(KEPT + 10 * OVERLAY_BLOCK);
        for at in (0..device.len()).step_by(OVERLAY_BLOCK) {
            device.read_at(at, &mut [0]).unwrap();
            assert!(device.blocks.lock().unwrap().len() <= KEPT / OVERLAY_BLOCK);
        }
    }

    proptest! {
        #[test]
        fn it_reads_as_the_device_does(reads in proptest::collection::vec((0..LEN, 0..2 * OVERLAY_BLOCK), 1..40)) {
            let (device, whole) = (device(LEN), bytes(LEN));
            for (at, len) in reads {
                let len = len.min(LEN - at);
                let mut read = vec![0; len];
                device.read_at(at as u64, &mut read).unwrap();
                prop_assert!(read == whole[at..at + len]);
                prop_assert!(device.read_at(at as u64, &mut vec![0; LEN - at + 1]).is_err());
            }
        }
    }
}
