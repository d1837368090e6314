//! Little-endian numbers in what others wrote: superblocks, tables, headers.

use super::be::field;

/// The 16 bits at `at`; `None` where `bytes` ends before.
pub(crate) fn u16(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

/// The 32 bits at `at`; `None` where `bytes` ends before.
pub(crate) fn u32(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

/// The 64 bits at `at`; `None` where `bytes` ends before.
pub(crate) fn u64(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

/// All of `bytes` as numbers of 16 bits, as UTF-16 has them; an odd byte at the end is left out.
pub(crate) fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().copied().map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::be;
    use super::*;

    #[test]
    fn numbers_are_read_up_to_the_end_and_no_further() {
        let bytes: Vec<u8> = (1..=9).collect();
        assert_eq!((u16(&bytes, 7), be::u32(&bytes, 5)), (Some(0x0908), Some(0x0607_0809)));
        assert_eq!((u32(&bytes, 0), u64(&bytes, 1)), (Some(0x0403_0201), Some(0x0908_0706_0504_0302)));
        assert_eq!(be::u64(&bytes, 0), Some(0x0102_0304_0506_0708));
        for at in [2, 8, 9, 10, usize::MAX] {
            assert_eq!((u64(&bytes, at), be::u64(&bytes, at)), (None, None), "{at}");
        }
        assert_eq!(units(&bytes).collect::<Vec<_>>(), [0x0201, 0x0403, 0x0605, 0x0807]);
    }
}
