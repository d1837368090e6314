//! Looking for zeros.

/// What is compared at once, in bytes.
const STEP: usize = 4096;

/// Whether every byte is zero. Compares with zeros, which the C library does many bytes at a time
/// and which ends at the first difference.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; STEP] = [0; STEP];
    bytes.chunks(STEP).all(|c| ZEROS.get(..c.len()).is_some_and(|zeros| zeros == c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_bit_anywhere_is_not_zero() {
        assert!(is_zero(&[]));
        assert!(is_zero(&[0; 4097]));
        for at in [0, 1, 4095, 4096] {
            let mut bytes = [0; 4097];
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "byte {at}");
        }
    }
}
