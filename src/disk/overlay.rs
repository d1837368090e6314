//! Copy-on-write: the blocks that were changed over a base that never is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError, RwLock};

use super::kept::{Kept, OVERLAY_BLOCK, Spill};
use super::{Extended, Ranges, ReadAt, WriteAt, check_range};

/// A writable device over a read-only base; the changed blocks are held in memory, or in a file.
pub struct Overlay<D> {
    base: D,
    changed: RwLock<Changed>,
}

#[derive(Default)]
struct Changed {
    blocks: BTreeMap<u64, Kept>,
    spill: Option<Spill>,
}

/// The blocks by which a device differs from its base, sorted, and its length. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    blocks: Arc<[(u64, Kept)]>,
    /// Length of the device: its last block may be a part of one.
    len: u64,
}

/// The part of a transfer that lies in one block.
struct Piece {
    block: u64,
    /// Where in the block, and where in the buffer.
    within: usize,
    at: usize,
    len: usize,
}

fn pieces(offset: u64, len: usize) -> impl Iterator<Item = Piece> {
    let mut at = 0;
    std::iter::from_fn(move || {
        (at < len).then(|| {
            let position = offset + at as u64;
            let within = (position % OVERLAY_BLOCK as u64) as usize;
            let piece = Piece {
                block: position / OVERLAY_BLOCK as u64,
                within,
                at,
                len: (OVERLAY_BLOCK - within).min(len - at),
            };
            at += piece.len;
            piece
        })
    })
}

/// Reads a whole block; what lies past the end of the device is zero.
fn read_block<D: ReadAt>(device: &D, block: u64) -> io::Result<[u8; OVERLAY_BLOCK]> {
    let mut bytes = [0; OVERLAY_BLOCK];
    let offset = block * OVERLAY_BLOCK as u64;
    let there = device.len().saturating_sub(offset).min(OVERLAY_BLOCK as u64) as usize;
    device.read_at(offset, &mut bytes[..there])?;
    Ok(bytes)
}

/// Pieces of a transfer that one read can serve.
struct Run<'a> {
    /// What was changed there, from its first block on; `None` where nothing was.
    source: Option<&'a Kept>,
    first: Piece,
    /// Bytes in all of them.
    len: usize,
}

impl Run<'_> {
    fn goes_on_with(&self, block: u64, found: Option<&Kept>) -> bool {
        match (self.source, found) {
            (None, None) => true,
            (Some(first), Some(next)) => first.leads_to(next, block - self.first.block),
            _ => false,
        }
    }

    fn read(
        self,
        buf: &mut [u8],
        unchanged: &mut impl FnMut(usize, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Piece { at, within, .. } = self.first;
        let part = &mut buf[at..at + self.len];
        match self.source {
            None => unchanged(at, part),
            Some(kept) => kept.read(within, part),
        }
    }
}

/// Fills `buf`, the bytes from `offset` on, with the blocks that `changed` knows. `unchanged` fills what lies
/// between, of which it is told where in `buf` it begins.
fn read_through<'a>(
    changed: impl Fn(u64) -> Option<&'a Kept>,
    offset: u64,
    buf: &mut [u8],
    mut unchanged: impl FnMut(usize, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut run: Option<Run<'_>> = None;
    for piece in pieces(offset, buf.len()) {
        let found = changed(piece.block);
        match &mut run {
            Some(run) if run.goes_on_with(piece.block, found) => run.len += piece.len,
            _ => {
                let len = piece.len;
                let next = Run { source: found, first: piece, len };
                if let Some(done) = run.replace(next) {
                    done.read(buf, &mut unchanged)?;
                }
            }
        }
    }
    run.map_or(Ok(()), |run| run.read(buf, &mut unchanged))
}

impl<D: ReadAt> Overlay<D> {
    /// An overlay without a change.
    pub fn new(base: D) -> Self {
        Self { base, changed: RwLock::default() }
    }

    /// The same, for more changes than memory should hold: they are kept in `file`, which is empty and nobody
    /// else's.
    pub fn spilling(base: D, file: File) -> Self {
        let changed = Changed { spill: Some(Spill::new(file)), ..Changed::default() };
        Self { base, changed: RwLock::new(changed) }
    }

    /// What was changed. Blocks that were written but are as they were are left out, so that the
    /// same changes give the same patch whatever was written on the way.
    ///
    /// # Errors
    /// What reading the base answers.
    pub fn freeze(&self) -> io::Result<Patch> {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = Vec::with_capacity(changed.blocks.len());
        let mut bytes = [0; OVERLAY_BLOCK];
        for (number, block) in &changed.blocks {
            block.read(0, &mut bytes)?;
            if read_block(&self.base, *number)? != bytes {
                blocks.push((*number, block.clone()));
            }
        }
        Ok(Patch { blocks: blocks.into(), len: self.base.len() })
    }
}

impl<D: ReadAt> ReadAt for Overlay<D> {
    fn len(&self) -> u64 {
        self.base.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let base = |at: usize, part: &mut [u8]| self.base.read_at(offset + at as u64, part);
        read_through(|n| changed.blocks.get(&n), offset, buf, base)
    }
}

impl Changed {
    /// Keeps whole blocks from this number on, none of which is kept yet where they go to a file.
    fn keep(&mut self, first: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.spill {
            Some(spill) => self.blocks.extend((first..).zip(spill.append(bytes)?)),
            None => {
                let blocks = bytes.as_chunks().0.iter().map(|block| Kept::Memory(Arc::new(*block)));
                self.blocks.extend((first..).zip(blocks));
            }
        }
        Ok(())
    }
}

impl<D: ReadAt> WriteAt for Overlay<D> {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        // new whole blocks that follow each other are kept at once
        let mut whole: Option<(u64, Range<usize>)> = None;
        for piece in pieces(offset, buf.len()) {
            let part = piece.at..piece.at + piece.len;
            let found = changed.blocks.get(&piece.block);
            let is_in_file = matches!(found, Some(Kept::File(..)));
            if piece.len == OVERLAY_BLOCK && !is_in_file {
                match &mut whole {
                    Some((_, range)) => range.end = part.end,
                    None => whole = Some((piece.block, part)),
                }
                continue;
            }
            if let Some(Kept::File(file, at)) = found {
                file.write_all_at(&buf[part], at + piece.within as u64)?;
            } else {
                let mut block = match found {
                    Some(Kept::Memory(block)) => **block,
                    _ => read_block(&self.base, piece.block)?,
                };
                block[piece.within..piece.within + piece.len].copy_from_slice(&buf[part]);
                changed.keep(piece.block, &block)?;
            }
            if let Some((first, range)) = whole.take() {
                changed.keep(first, &buf[range])?;
            }
        }
        whole.map_or(Ok(()), |(first, range)| changed.keep(first, &buf[range]))
    }
}

impl Patch {
    /// Length in bytes of the image that this makes of a base of `base` bytes: never less than that.
    #[must_use]
    pub fn image_len(&self, base: u64) -> u64 {
        self.len.max(base)
    }

    /// Which bytes lie in changed blocks.
    #[must_use]
    pub fn ranges(&self) -> Ranges {
        let range = |(number, _): &(u64, Kept)| {
            let offset = number * OVERLAY_BLOCK as u64;
            offset..(offset + OVERLAY_BLOCK as u64).min(self.len)
        };
        self.blocks.iter().map(range).collect()
    }

    /// Puts what is changed over `buf`, the bytes of the base from `offset` on.
    ///
    /// # Errors
    /// What reading the file of an overlay that has one answers.
    pub fn apply(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        read_through(|n| self.get(n), offset, buf, |_, _| Ok(()))
    }

    /// This one, made of a base with `below` over it, as a patch of that base.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let mut blocks: BTreeMap<u64, &Kept> = below.blocks.iter().map(|(n, kept)| (*n, kept)).collect();
        blocks.extend(self.blocks.iter().map(|(n, kept)| (*n, kept)));
        let blocks = blocks.into_iter().map(|(n, kept)| (n, kept.clone())).collect();
        Self { blocks, len: self.len }
    }

    /// This one, which was made of a base with `below` over it, as a patch of that: the other way round than
    /// [`Self::over`].
    #[must_use]
    pub fn without(&self, below: &Self) -> Self {
        let own = self.blocks.iter().filter(|(number, kept)| below.get(*number) != Some(kept));
        Self { blocks: own.cloned().collect(), len: self.len }
    }

    fn get(&self, number: u64) -> Option<&Kept> {
        let at = self.blocks.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        self.blocks.get(at).map(|(_, block)| block)
    }
}

/// A base with a patch over it, read-only: the bytes that a sink writes. What a longer patch has behind the
/// base is zero where it has no block.
#[derive(Debug)]
pub struct Patched<D> {
    base: Extended<D>,
    patch: Patch,
}

impl<D: ReadAt> Patched<D> {
    /// `patch` over `base`.
    pub fn new(base: D, patch: Patch) -> Self {
        Self { base: Extended::new(base, patch.len), patch }
    }
}

impl<D: ReadAt> ReadAt for Patched<D> {
    fn len(&self) -> u64 {
        self.base.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let base = |at: usize, part: &mut [u8]| self.base.read_at(offset + at as u64, part);
        read_through(|n| self.patch.get(n), offset, buf, base)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryDevice, Window};
    use super::*;
    use proptest::prelude::*;

    const LEN: usize = 3 * OVERLAY_BLOCK + 100;

    fn base() -> Arc<MemoryDevice> {
        Arc::new(MemoryDevice::new((0..LEN).map(|n| n as u8).collect()))
    }

    fn all(device: &impl ReadAt) -> Vec<u8> {
        let mut bytes = vec![0; device.len() as usize];
        device.read_at(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_write_that_changes_nothing_leaves_no_block() {
        let overlay = Overlay::new(base());
        overlay.write_at(10, &[1, 2, 3]).unwrap();
        overlay.write_at(10, &[10, 11, 12]).unwrap();
        assert!(overlay.freeze().unwrap().ranges().is_empty());
    }

    #[test]
    fn the_last_block_is_as_long_as_the_device() {
        let overlay = Overlay::new(base());
        overlay.write_at(LEN as u64 - 1, &[255]).unwrap();
        let patch = overlay.freeze().unwrap();
        let ranges = patch.ranges();
        let mut ranges = ranges.iter();
        assert_eq!(ranges.next(), Some(3 * OVERLAY_BLOCK as u64..LEN as u64));
        assert_eq!(ranges.next(), None);
    }

    #[test]
    fn a_patch_may_be_longer_than_its_base() {
        let len = 5 * OVERLAY_BLOCK as u64 + 7;
        let overlay = Overlay::new(Extended::new(base(), len));
        overlay.write_at(LEN as u64 - 1, &[7, 8]).unwrap();
        overlay.write_at(4 * OVERLAY_BLOCK as u64, &[0; 9]).unwrap();
        overlay.write_at(len - 1, &[9]).unwrap();
        let patch = overlay.freeze().unwrap();
        // zeros behind the base's end change nothing
        let ranges: Vec<_> = patch.ranges().iter().collect();
        let block = OVERLAY_BLOCK as u64;
        assert_eq!(ranges, [3 * block..4 * block, 5 * block..len]);
        assert_eq!((patch.image_len(LEN as u64), patch.image_len(1 << 30)), (len, 1 << 30));
        let patched = Patched::new(base(), patch);
        assert!(all(&patched) == all(&overlay) && patched.len() == len);
        assert_eq!(Patch::default().image_len(LEN as u64), LEN as u64);
    }

    #[test]
    fn nothing_passes_the_end() {
        let overlay = Overlay::new(base());
        for (offset, len) in [(LEN as u64, 1), (LEN as u64 - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 8)] {
            let error = overlay.write_at(offset, &vec![0; len]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(overlay.read_at(offset, &mut vec![0; len]).is_err());
        }
        assert!(overlay.freeze().unwrap().ranges().is_empty());
        assert!(Window::new(base(), 100, LEN as u64).is_err());
        assert!(Window::new(base(), u64::MAX, 2).is_err());
    }

    /// An overlay that keeps its blocks in a file, or in memory.
    fn overlay_on<D: ReadAt>(device: D, in_file: bool) -> Arc<Overlay<D>> {
        Arc::new(match in_file {
            true => Overlay::spilling(device, tempfile::tempfile().unwrap()),
            false => Overlay::new(device),
        })
    }

    type Write = (usize, Vec<u8>, bool);

    /// Makes `writes` on an overlay and on a plain copy. Half of them go through a window.
    fn write<D: ReadAt>(overlay: &Arc<Overlay<D>>, copy: &mut [u8], writes: &[Write]) {
        let window = Window::new(Arc::clone(overlay), 1000, LEN as u64 - 1000).unwrap();
        for (at, bytes, through_window) in writes {
            let at = if *through_window { (*at).max(1000) } else { *at };
            let bytes = &bytes[..bytes.len().min(LEN - at)];
            copy[at..at + bytes.len()].copy_from_slice(bytes);
            if *through_window {
                window.write_at(at as u64 - 1000, bytes).unwrap();
            } else {
                overlay.write_at(at as u64, bytes).unwrap();
            }
        }
    }

    fn writes() -> impl Strategy<Value = Vec<Write>> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..3 * OVERLAY_BLOCK);
        proptest::collection::vec((0..LEN, bytes, any::<bool>()), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// An overlay, and its patch over the base, read as a plain copy that got the same writes;
        /// and the base stays what it was. So does a patch of two overlays, one over the other.
        #[test]
        fn it_reads_as_a_copy_would(
            lower in writes(),
            upper in writes(),
            in_file in any::<(bool, bool)>(),
            part in (0..LEN, 0..LEN),
        ) {
            let (device, mut copy) = (base(), all(&base()));
            let below = overlay_on(Arc::clone(&device), in_file.0);
            write(&below, &mut copy, &lower);
            prop_assert_eq!(&all(&*below), &copy);
            let below = below.freeze().unwrap();
            let patched = Patched::new(Arc::clone(&device), below.clone());
            prop_assert_eq!(&all(&patched), &copy);

            let above = overlay_on(patched, in_file.1);
            write(&above, &mut copy, &upper);
            prop_assert_eq!(&all(&*above), &copy);
            let above = above.freeze().unwrap();
            let both = above.over(&below);
            prop_assert_eq!(both.without(&below), above);
            prop_assert_eq!(&all(&Patched::new(&*device, both.clone())), &copy);
            let part = part.0.min(part.1)..part.0.max(part.1);
            let mut bytes = all(&*device)[part.clone()].to_vec();
            both.apply(part.start as u64, &mut bytes).unwrap();
            prop_assert_eq!(&bytes, &copy[part]);
            prop_assert_eq!(all(&*device), all(&base()));

            // what is in no range is as it was, and ranges end where the device does
            let (base, mut outside) = (all(&*device), copy.clone());
            for range in both.ranges().iter() {
                let range = range.start as usize..range.end as usize;
                outside[range.clone()].copy_from_slice(&base[range]);
            }
            prop_assert_eq!(outside, base);
        }
    }
}
