//! Big-endian numbers in what others wrote.

/// The 32 bits at `at`; `None` where `bytes` ends before.
pub(crate) fn u32(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_be_bytes)
}

/// The 64 bits at `at`; `None` where `bytes` ends before.
pub(crate) fn u64(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_be_bytes)
}

/// The `N` bytes at `at`.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
