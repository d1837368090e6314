//! Numbers in a superblock and in a group descriptor.
//!
//! All are little-endian; of some the upper half is elsewhere, and counts only where numbers of blocks have
//! 64 bits. Offsets are those of the kernel's `Documentation/filesystems/ext4`.

use crate::io::le;

/// A number: where it is, or its lower half.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    at: usize,
    /// Bytes: 1, 2 or 4.
    len: usize,
    high: Option<usize>,
}

/// All of it at one place.
pub(super) const fn field(at: usize, len: usize) -> Field {
    Field { at, len, high: None }
}

/// In two halves.
pub(super) const fn halves(at: usize, high: usize, len: usize) -> Field {
    Field { at, len, high: Some(high) }
}

impl Field {
    /// What it says in `raw`; what does not reach that far has zeros there.
    pub(super) fn get(self, raw: &[u8], wide: bool) -> u64 {
        let part = |at: usize| match self.len {
            1 => raw.get(at).copied().map(u64::from),
            2 => le::u16(raw, at).map(u64::from),
            _ => le::u32(raw, at).map(u64::from),
        };
        let high = self.high.filter(|_| wide).and_then(part).unwrap_or(0);
        high << (8 * self.len) | part(self.at).unwrap_or(0)
    }

    /// Makes it say `value` in `raw`. Of a number that is wider than the field the rest is lost, which is right
    /// for a checksum and for nothing else.
    pub(super) fn put(self, raw: &mut [u8], wide: bool, value: u64) {
        let bytes = value.to_le_bytes();
        let (low, high) = bytes.split_at(self.len);
        let mut part = |at: usize, bytes: &[u8]| {
            if let Some(place) = raw.get_mut(at..at + self.len) {
                place.copy_from_slice(bytes);
            }
        };
        part(self.at, low);
        if let Some(at) = self.high.filter(|_| wide) {
            part(at, &high[..self.len]);
        }
    }
}
