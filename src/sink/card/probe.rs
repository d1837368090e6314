//! Whether a card has the size that it claims.
//!
//! Cards that lie keep the first few GB and lose what lies behind, or write it over the beginning
//! again. So blocks that say where they belong are written to places spread over the card, to its end,
//! and to places that are a power of two apart, which is how such cards wrap around; all are written
//! before the first is read. Those that the image does not cover are read once more when it is
//! written, when no memory of the card's controller can still hold them.

use std::io;

use super::device::Card;
use crate::io::AlignedBuf;

/// Bytes of one probe: a multiple of every sector size.
const BLOCK: u64 = 4096;
/// Where the probe lies that those at powers of two would overwrite: behind the first MiB, which
/// stays zero.
const ORIGIN: u64 = 2 << 20;
/// Places spread evenly.
const EVEN: u64 = 24;
/// The smallest distance at which a card is tried for wrapping around.
const SMALLEST_WRAP: u32 = 25;

/// Probes that lie on a card.
pub(super) struct Probe {
    places: Vec<u64>,
    salt: u64,
}

impl Probe {
    /// Writes the probes, syncs, and reads them back. `salt` should be another one each time.
    ///
    /// # Errors
    /// What the card answers; of a probe that does not read back, its place.
    pub(super) fn place(card: &dyn Card, salt: u64) -> io::Result<Result<Self, u64>> {
        let probe = Self { places: places(card.len()), salt };
        for place in &probe.places {
            card.write_at(*place, &probe.block(*place))?;
        }
        card.sync()?;
        Ok(match probe.missing(card, 0)? {
            Some(place) => Err(place),
            None => Ok(probe),
        })
    }

    /// The first probe at or behind `from` that does not read back.
    pub(super) fn missing(&self, card: &dyn Card, from: u64) -> io::Result<Option<u64>> {
        let mut read = AlignedBuf::zeroed(BLOCK as usize);
        for place in self.places.iter().filter(|place| **place >= from) {
            card.read_at(*place, &mut read)?;
            if read[..] != self.block(*place)[..] {
                return Ok(Some(*place));
            }
        }
        Ok(None)
    }

    fn block(&self, place: u64) -> AlignedBuf {
        let mut block = AlignedBuf::zeroed(BLOCK as usize);
        for (n, word) in block.chunks_exact_mut(16).enumerate() {
            word[..8].copy_from_slice(&place.to_le_bytes());
            word[8..].copy_from_slice(&self.salt.wrapping_add(n as u64).to_le_bytes());
        }
        block
    }
}

/// Where probes go on a card of `len` bytes: ascending, all behind the first MiB.
fn places(len: u64) -> Vec<u64> {
    let Some(last) = len.checked_sub(BLOCK).map(|at| at - at % BLOCK) else { return Vec::new() };
    let spread = (1..=EVEN).map(|n| last / EVEN * n);
    let powers = (SMALLEST_WRAP..63).map(|power| ORIGIN + (1 << power));
    let mut places: Vec<u64> = spread.chain(powers).chain([ORIGIN, last]).map(|at| at - at % BLOCK).collect();
    places.retain(|at| *at <= last && *at >= 1 << 20);
    places.sort_unstable();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_lie_at_the_end_and_where_cards_wrap() {
        let places = places(64 << 30);
        assert!(places.contains(&((64 << 30) - BLOCK)) && places.contains(&ORIGIN));
        for power in 25..36 {
            assert!(places.contains(&(ORIGIN + (1 << power))), "2^{power}");
        }
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(places.iter().all(|at| at % BLOCK == 0 && *at >= 1 << 20));
        for len in [0, 1, 4095, 4096, 1 << 20, (1 << 20) + 4096, 5 << 20] {
            assert!(super::places(len).iter().all(|at| at + BLOCK <= len));
        }
    }
}
