//! A chunk of an image: some bytes at an offset, and which of them are not zero.

use std::ops::Range;

use super::pool::PooledBuf;
use super::zero::is_zero;

/// Size of a chunk in bytes, and what its offset is a multiple of. Large enough that a write of one
/// keeps any disk busy.
pub const CHUNK: usize = 4 << 20;

/// The grain in which data and zeros are told apart, in bytes. Smaller ones would make images a
/// little smaller, their extents many and writing slow. It is also the cluster size of qcow2.
pub const GRAIN: u64 = 64 * 1024;

/// Bytes of an image that begin at a multiple of [`CHUNK`], shared by all who write them.
pub struct Chunk {
    offset: u64,
    buffer: PooledBuf,
    data: Vec<Range<usize>>,
    covered: u64,
}

impl Chunk {
    /// A chunk at `offset`. The ranges in `filled` say where `buffer` holds the image's bytes; they
    /// ascend and begin at multiples of [`GRAIN`]. All else in the chunk is known to be zero.
    #[must_use]
    pub fn new(offset: u64, buffer: PooledBuf, filled: &[Range<usize>]) -> Self {
        let mut data: Vec<Range<usize>> = Vec::new();
        for range in filled {
            for start in range.clone().step_by(GRAIN as usize) {
                let grain = start..(start + GRAIN as usize).min(range.end);
                match data.last_mut() {
                    _ if is_zero(&buffer[grain.clone()]) => {}
                    Some(last) if last.end == grain.start => last.end = grain.end,
                    _ => data.push(grain),
                }
            }
        }
        let covered = filled.iter().map(|range| range.len() as u64).sum();
        Self { offset, buffer, data, covered }
    }

    /// A chunk at `offset` whose first `len` bytes are in `buffer`.
    #[must_use]
    pub fn filled(offset: u64, buffer: PooledBuf, len: usize) -> Self {
        Self::new(offset, buffer, std::slice::from_ref(&(0..len)))
    }

    /// What is not zero: offsets in the image, ascending, with the bytes there. Extents begin at
    /// multiples of [`GRAIN`] and end at one or at the end of the image; no grain of an extent is
    /// all zeros.
    pub fn extents(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.data.iter().map(|range| (self.offset + range.start as u64, &self.buffer[range.clone()]))
    }

    /// Whether all of it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.data.is_empty()
    }

    /// How many bytes of the image were read for it, zeros included.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.covered
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::BufferPool;
    use super::*;

    #[test]
    fn a_chunk_tells_data_from_zeros() {
        let g = GRAIN as usize;
        let mut buffer = BufferPool::new(CHUNK, 1).take();
        buffer[g] = 1;
        buffer[2 * g + 5] = 1;
        buffer[5 * g] = 1; // outside of what was filled
        buffer[7 * g + 99] = 1;
        let chunk = Chunk::new(1 << 30, buffer, &[0..4 * g, 6 * g..7 * g + 100]);
        let seen: Vec<_> = chunk.extents().map(|(at, bytes)| (at - (1 << 30), bytes.len())).collect();
        assert_eq!(seen, [(GRAIN, 2 * g), (7 * GRAIN, 100)]);
        assert_eq!(chunk.covered(), 4 * GRAIN + GRAIN + 100);
        assert!(!chunk.is_zero());
    }
}
