//! Numbers in a superblock and in a group descriptor.
//!
//! All are little-endian; of some the upper half is elsewhere, and counts only where numbers of blocks have
//! 64 bits. Offsets are those of the kernel's `Documentation/filesystems/ext4`.

use crate::io::le;

/// A number: where it is, or its lower half.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    at: usize,
    /// Bytes: 2 or 4.
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
        let part = |at| match self.len {
            2 => le::u16(raw, at).map(u64::from),
            _ => le::u32(raw, at).map(u64::from),
        };
        let high = self.high.filter(|_| wide).and_then(part).unwrap_or(0);
        high << (8 * self.len) | part(self.at).unwrap_or(0)
    }
}
