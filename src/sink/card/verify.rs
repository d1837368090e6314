//! Reading back what a card should hold, past every cache, and comparing it byte by byte.

use std::io;
use std::ops::Range;

use super::error::Error;
use super::writer::CardWriter;
use crate::disk::{Ranges, ReadAt, cut};
use crate::io::AlignedBuf;
use crate::progress::Progress;

/// Bytes that are compared at once.
const PIECE: u64 = 1 << 20;
/// Places that are read once more when all is written, and how much at each.
const SAMPLES: u64 = 24;
const SAMPLE: u64 = 64 << 10;

/// Compares a card with its image.
pub(super) struct Verifier<'a> {
    card: &'a CardWriter,
    image: &'a dyn ReadAt,
    expected: AlignedBuf,
    read: AlignedBuf,
    /// Where it was written again, once.
    again: Option<u64>,
}

/// Why a piece is not as it should be.
struct Difference {
    offset: u64,
    source: Option<io::Error>,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(card: &'a CardWriter, image: &'a dyn ReadAt) -> Self {
        let buffer = || AlignedBuf::zeroed(PIECE as usize);
        Self { card, image, expected: buffer(), read: buffer(), again: None }
    }

    /// Compares `range`; what differs is written again, once on the whole card.
    pub(super) fn range(
        &mut self,
        range: Range<u64>,
        progress: &dyn Progress,
        mut seen: impl FnMut(u64),
    ) -> Result<(), Error> {
        for piece in cut(range, PIECE) {
            self.card.check()?;
            let (at, len) = (piece.start, piece.end - piece.start);
            if let Some(found) = self.compare(at, len)? {
                self.try_again(at, len, found, progress)?;
            }
            seen(len);
        }
        Ok(())
    }

    /// Compares `range` and accepts no difference.
    pub(super) fn strictly(&mut self, range: Range<u64>) -> Result<(), Error> {
        for piece in cut(range, PIECE) {
            self.card.check()?;
            if let Some(found) = self.compare(piece.start, piece.end - piece.start)? {
                return Err(self.bad(found, false));
            }
        }
        Ok(())
    }

    /// Looks once more at places all over what is in use, the first ones above all: a card that
    /// wraps around has lost those to what was written last.
    pub(super) fn samples(&mut self, used: &Ranges) -> Result<(), Error> {
        let first = used.iter().next().map(|r| r.start..r.end.min(r.start + PIECE));
        let again = self.again.map(|at| at..at + PIECE);
        let mut wanted: Ranges = first.into_iter().collect();
        again.iter().flat_map(|r| used.within(r.clone())).for_each(|r| wanted.insert(r));
        for place in used.samples(SAMPLES, SAMPLE) {
            let start = place.start - place.start % SAMPLE;
            used.within(start..start + SAMPLE).for_each(|r| wanted.insert(r));
        }
        wanted.iter().try_for_each(|range| self.strictly(range))
    }

    fn compare(&mut self, at: u64, len: u64) -> Result<Option<Difference>, Error> {
        let card = self.card;
        let whole = len.next_multiple_of(card.card().sector());
        let expected = &mut self.expected[..whole as usize];
        expected[len as usize..].fill(0);
        self.image.read_at(at, &mut expected[..len as usize]).map_err(|source| Error::Base {
            path: "the image that was written".into(),
            source: source.into(),
        })?;
        let read = &mut self.read[..whole as usize];
        if let Err(source) = card.card().read_at(at, read) {
            if card.is_gone(&source) {
                return Err(card.io("reading back", at)(source));
            }
            return Ok(Some(Difference { offset: at, source: Some(source) }));
        }
        if read == expected {
            return Ok(None);
        }
        let first = read.iter().zip(expected.iter()).position(|(a, b)| a != b).unwrap_or(0) as u64;
        Ok(Some(Difference { offset: at + first, source: None }))
    }

    fn try_again(
        &mut self,
        at: u64,
        len: u64,
        found: Difference,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        if self.again.is_some() {
            return Err(self.bad(found, false));
        }
        self.again = Some(at);
        let name = &self.card.target.card_name;
        progress.note(&format!(
            "{name}: byte {} does not read back as it was written; trying once more",
            found.offset
        ));
        let whole = len.next_multiple_of(self.card.card().sector()) as usize;
        let card = self.card.card();
        card.write_at(at, &self.expected[..whole]).map_err(self.card.io("writing", at))?;
        card.sync().map_err(self.card.io("writing", at))?;
        match self.compare(at, len)? {
            None => Ok(()),
            Some(found) => Err(self.bad(found, true)),
        }
    }

    fn bad(&self, found: Difference, again: bool) -> Error {
        let card = self.card.target.card_name.clone();
        Error::Bad { card, offset: found.offset, again, source: found.source }
    }

    /// Where something was written again.
    pub(super) fn again(&self) -> Option<u64> {
        self.again
    }
}
