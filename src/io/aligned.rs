//! Memory that direct (uncached) I/O accepts.

use std::ops::{Deref, DerefMut};

/// What direct I/O asks of addresses, offsets and lengths: a multiple of the device's logical
/// block, which is at most a page (`queue/logical_block_size` under /sys/block).
pub(crate) const ALIGNMENT: usize = 4096;

/// A buffer of fixed size that begins at a multiple of [`ALIGNMENT`].
pub(crate) struct AlignedBuf {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// A buffer of `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let memory = vec![0; len + ALIGNMENT];
        let address = memory.as_ptr().addr();
        let start = address.next_multiple_of(ALIGNMENT) - address;
        Self { memory, start, len }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

/// Whether a direct write of `bytes` to `offset` is allowed.
pub(crate) fn is_aligned(offset: u64, bytes: &[u8]) -> bool {
    offset.is_multiple_of(ALIGNMENT as u64)
        && bytes.len().is_multiple_of(ALIGNMENT)
        && bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_where_direct_writes_may() {
        for len in [1, 4096, 100_000] {
            let buffer = AlignedBuf::zeroed(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().addr() % ALIGNMENT, 0);
            assert_eq!(is_aligned(8192, &buffer), len == 4096);
        }
        assert!(!is_aligned(512, &AlignedBuf::zeroed(4096)));
    }
}
