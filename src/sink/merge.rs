//! Base and patch as one ascending stream, for formats that are written from front to back.

use std::io;
use std::iter::Peekable;

use crate::disk::{Patch, Ranges};
use crate::io::chunk::{Chunk, GRAIN};
use crate::io::{AlignedBuf, is_zero};

/// What is written from front to back.
pub(super) trait Sequential {
    /// The bytes at `offset`, which follow what came before; all between is zero. They begin at a
    /// multiple of [`GRAIN`] and end at one or at the image's end.
    fn run(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// The grains that these ranges lie in, by their offsets, ascending.
pub(super) fn grains(ranges: &Ranges) -> impl Iterator<Item = u64> + use<> {
    let mut grains: Vec<u64> = ranges
        .iter()
        .flat_map(|range| (range.start / GRAIN..range.end.div_ceil(GRAIN)).map(|number| number * GRAIN))
        .collect();
    grains.dedup();
    grains.into_iter()
}

/// Puts a patch over the chunks that pass.
pub(super) struct Merge<'p> {
    patch: &'p Patch,
    /// The grains that it changes something in, of those that did not pass yet.
    grains: Peekable<Box<dyn Iterator<Item = u64>>>,
    grain: AlignedBuf,
    len: u64,
}

impl<'p> Merge<'p> {
    /// Puts `patch` over a base, for an image of `len` bytes: as long as the base, or longer.
    pub(super) fn new(patch: &'p Patch, len: u64) -> Self {
        let grains: Box<dyn Iterator<Item = u64>> = Box::new(grains(&patch.ranges()));
        Self { patch, grains: grains.peekable(), grain: AlignedBuf::zeroed(GRAIN as usize), len }
    }

    /// Passes on `chunk`, and what the patch has before it.
    pub(super) fn chunk(&mut self, chunk: &Chunk, to: &mut dyn Sequential) -> io::Result<()> {
        for (offset, bytes) in chunk.extents() {
            self.pass_before(offset, to)?;
            let end = offset + bytes.len() as u64;
            // a base that ends within a grain may go on in it
            let whole = if end < self.len { end - end % GRAIN } else { end };
            let part = |from: u64, until: u64| &bytes[(from - offset) as usize..(until - offset) as usize];
            let mut at = offset;
            while at < end {
                let grain = self.next_grain().map_or(whole, |grain| grain.min(whole));
                if grain > at {
                    to.run(at, part(at, grain))?;
                }
                if grain == end {
                    break;
                }
                at = (grain + GRAIN).min(end);
                let base = part(grain, at);
                let len = GRAIN.min(self.len - grain) as usize;
                self.grain[..base.len()].copy_from_slice(base);
                self.grain[base.len()..len].fill(0);
                self.pass_grain(grain, len, to)?;
            }
        }
        Ok(())
    }

    /// Passes on what the patch has after the last chunk.
    pub(super) fn finish(mut self, to: &mut dyn Sequential) -> io::Result<()> {
        self.pass_before(self.len, to)
    }

    fn next_grain(&mut self) -> Option<u64> {
        self.grains.peek().copied()
    }

    /// Patches of grains in which the base has nothing.
    fn pass_before(&mut self, end: u64, to: &mut dyn Sequential) -> io::Result<()> {
        while let Some(grain) = self.next_grain().filter(|grain| *grain < end) {
            let len = GRAIN.min(self.len - grain) as usize;
            self.grain[..len].fill(0);
            self.pass_grain(grain, len, to)?;
        }
        Ok(())
    }

    /// Passes on the grain at `offset`, of which the buffer holds what the base has.
    fn pass_grain(&mut self, offset: u64, len: usize, to: &mut dyn Sequential) -> io::Result<()> {
        // the grain in which the base ends passes here also where the patch has nothing in it
        self.grains.next_if_eq(&offset);
        let grain = &mut self.grain[..len];
        self.patch.apply(offset, grain)?;
        if is_zero(grain) { Ok(()) } else { to.run(offset, grain) }
    }
}
