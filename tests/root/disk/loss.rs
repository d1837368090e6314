//! What a drive may hold after its power was cut: all that it had stored when it was last told to, and
//! of what came later any sectors whatever, in any order.

use std::collections::HashMap;

use super::chip::BEFORE;
use super::notes::{Asked, Note};
use rand::RngExt;
use support::noise::Noise;

const SECTOR: u64 = 512;

/// The drive as it is after a cut.
#[derive(Default)]
pub struct Loss<'n> {
    stored: HashMap<u64, &'n [u8]>,
    /// What it was asked to write and not yet to store.
    loose: Vec<(u64, &'n [u8])>,
    /// What of that it has stored nevertheless.
    lucky: HashMap<u64, &'n [u8]>,
}

impl<'n> Loss<'n> {
    /// The drive does what `note` asks.
    pub fn follow(&mut self, note: &'n Note) {
        match &note.asked {
            Asked::Write(range) => {
                let bytes = note.bytes.as_deref().expect("the drive keeps what is written");
                self.loose.extend((range.start / SECTOR..).zip(bytes.chunks(SECTOR as usize)));
            }
            Asked::Flush if note.granted => self.stored.extend(self.loose.drain(..)),
            Asked::Flush | Asked::Read(_) => {}
        }
    }

    /// The power is cut.
    pub fn cut(&mut self, noise: &mut Noise) {
        let odds = noise.random_range(0..=100);
        self.lucky.clear();
        self.lucky.extend(self.loose.iter().copied().filter(|_| noise.random_range(0..100) < odds));
    }

    fn sector(&self, number: u64) -> Option<&'n [u8]> {
        self.lucky.get(&number).or_else(|| self.stored.get(&number)).copied()
    }

    /// Whether bytes from `offset` on, whole sectors, are `wanted`.
    pub fn holds(&self, offset: u64, wanted: &[u8]) -> bool {
        (offset / SECTOR..)
            .zip(wanted.chunks(SECTOR as usize))
            .all(|(number, wanted)| self.sector(number).is_some_and(|bytes| bytes == wanted))
    }

    /// Whether one of these sectors still has what was on the card before.
    pub fn has_old(&self, offset: u64, len: u64) -> bool {
        (offset / SECTOR..(offset + len) / SECTOR)
            .any(|number| self.sector(number).is_none_or(|bytes| bytes.iter().all(|b| *b == BEFORE)))
    }

    /// Whether anything behind the first `len` bytes was written.
    pub fn is_begun_behind(&self, len: u64) -> bool {
        self.stored.keys().chain(self.lucky.keys()).any(|number| *number >= len / SECTOR)
    }
}
