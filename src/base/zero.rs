//! Finding the zeros in an image.

use std::ops::Range;

pub(super) use crate::disk::aligned::is_zero;

/// The unit in which zeros are looked for: the block size of most file systems.
const GRAIN: usize = 4096;

/// Shorter runs of zeros are written out: a hole costs an extent and a system call more, for its
/// writer and for everyone who copies the file.
const SHORTEST_HOLE: usize = 64 * 1024;

/// The parts of `data` that have to be written where what is not written reads as zero.
///
/// `data` starts at a multiple of 4096 in its file. The parts are in order, disjoint, and hold
/// every byte that is not zero.
pub(super) fn parts_to_write(data: &[u8]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for grain in data.chunks(GRAIN) {
        let end = at + grain.len();
        if !is_zero(grain) {
            match parts.last_mut() {
                // the run of zeros between them is too short to be a hole
                Some(last) if at - last.end < SHORTEST_HOLE => last.end = end,
                _ => parts.push(at..end),
            }
        }
        at = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_single_bit_is_not_zero() {
        for len in [0, 1, 7, 4095, 4096, 4097, 100_000] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes));
            for at in [0, len / 2, len.saturating_sub(1)] {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = 1;
                    assert!(!is_zero(&bytes), "{at} of {len}");
                    bytes[at] = 0;
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn writing_the_parts_gives_the_data(
            len in 0_usize..600_000, dots in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..12)
        ) {
            let mut data = vec![0_u8; len];
            for (index, byte) in dots {
                if len > 0 {
                    data[index.index(len)] = byte;
                }
            }
            let mut copy = vec![0_u8; len];
            let parts = parts_to_write(&data);
            for part in &parts {
                copy[part.clone()].copy_from_slice(&data[part.clone()]);
                prop_assert!(part.start % GRAIN == 0 && (part.end % GRAIN == 0 || part.end == len));
            }
            prop_assert!(copy == data);
            for pair in parts.windows(2) {
                prop_assert!(pair[1].start - pair[0].end >= SHORTEST_HOLE);
            }
        }
    }
}
