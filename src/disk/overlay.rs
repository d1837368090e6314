//! Copy-on-write: the blocks that were changed over a base that never is.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::{ReadAt, WriteAt, check_range};

/// Granularity of an [`Overlay`] in bytes: the block size of ext4 on Ubuntu's images and a page of
/// the host, so that a changed block is one write.
pub const OVERLAY_BLOCK: usize = 4096;

type Block = Arc<[u8; OVERLAY_BLOCK]>;

/// A writable device over a read-only base; the changed blocks are held in memory.
pub struct Overlay<D> {
    base: D,
    blocks: RwLock<BTreeMap<u64, Block>>,
}

/// The blocks by which a device differs from its base, sorted. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    blocks: Arc<[(u64, Block)]>,
    /// Length of the base: its last block may be a part of one.
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

/// Reads from `base`, and over it the blocks that `changed` knows.
fn read_through<'a, D: ReadAt>(
    base: &D,
    changed: impl Fn(u64) -> Option<&'a Block>,
    offset: u64,
    buf: &mut [u8],
) -> io::Result<()> {
    let mut clean_from = None;
    let fill =
        |from: usize, to: usize, buf: &mut [u8]| base.read_at(offset + from as u64, &mut buf[from..to]);
    for piece in pieces(offset, buf.len()) {
        match changed(piece.block) {
            None => {
                clean_from.get_or_insert(piece.at);
            }
            Some(block) => {
                // neighbouring unchanged blocks are one read of the base
                if let Some(from) = clean_from.take() {
                    fill(from, piece.at, buf)?;
                }
                buf[piece.at..piece.at + piece.len]
                    .copy_from_slice(&block[piece.within..piece.within + piece.len]);
            }
        }
    }
    let end = buf.len();
    clean_from.map_or(Ok(()), |from| fill(from, end, buf))
}

impl<D: ReadAt> Overlay<D> {
    /// An overlay without a change.
    pub fn new(base: D) -> Self {
        Self { base, blocks: RwLock::default() }
    }

    /// What was changed. Blocks that were written but are as they were are left out, so that the
    /// same changes give the same patch whatever was written on the way.
    ///
    /// # Errors
    /// What reading the base answers.
    pub fn freeze(&self) -> io::Result<Patch> {
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::with_capacity(blocks.len());
        for (number, block) in blocks.iter() {
            if read_block(&self.base, *number)? != **block {
                changed.push((*number, Arc::clone(block)));
            }
        }
        Ok(Patch { blocks: changed.into(), len: self.base.len() })
    }
}

impl<D: ReadAt> ReadAt for Overlay<D> {
    fn len(&self) -> u64 {
        self.base.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        read_through(&self.base, |n| blocks.get(&n), offset, buf)
    }
}

impl<D: ReadAt> WriteAt for Overlay<D> {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let mut blocks = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces(offset, buf.len()) {
            let mut block = match blocks.get(&piece.block) {
                _ if piece.len == OVERLAY_BLOCK => [0; OVERLAY_BLOCK],
                Some(block) => **block,
                None => read_block(&self.base, piece.block)?,
            };
            block[piece.within..piece.within + piece.len]
                .copy_from_slice(&buf[piece.at..piece.at + piece.len]);
            blocks.insert(piece.block, Arc::new(block));
        }
        Ok(())
    }
}

impl Patch {
    /// The changed blocks by offset in bytes, ascending; the last one is cut to the device's length.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.blocks.iter().map(|(number, block)| {
            let offset = number * OVERLAY_BLOCK as u64;
            let there = (self.len - offset).min(OVERLAY_BLOCK as u64) as usize;
            (offset, &block[..there])
        })
    }

    fn get(&self, number: u64) -> Option<&Block> {
        let at = self.blocks.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        self.blocks.get(at).map(|(_, block)| block)
    }
}

/// A base with a patch over it, read-only: the bytes that a sink writes.
#[derive(Debug)]
pub struct Patched<D> {
    base: D,
    patch: Patch,
}

impl<D: ReadAt> Patched<D> {
    /// `patch` over `base`.
    pub fn new(base: D, patch: Patch) -> Self {
        Self { base, patch }
    }
}

impl<D: ReadAt> ReadAt for Patched<D> {
    fn len(&self) -> u64 {
        self.base.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        read_through(&self.base, |n| self.patch.get(n), offset, buf)
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
        assert_eq!(overlay.freeze().unwrap().blocks().count(), 0);
    }

    #[test]
    fn the_last_block_is_as_long_as_the_device() {
        let overlay = Overlay::new(base());
        overlay.write_at(LEN as u64 - 1, &[255]).unwrap();
        let patch = overlay.freeze().unwrap();
        let (offset, block) = patch.blocks().next().unwrap();
        assert_eq!((offset as usize, block.len()), (3 * OVERLAY_BLOCK, 100));
    }

    #[test]
    fn nothing_passes_the_end() {
        let overlay = Overlay::new(base());
        for (offset, len) in [(LEN as u64, 1), (LEN as u64 - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 8)] {
            let error = overlay.write_at(offset, &vec![0; len]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(overlay.read_at(offset, &mut vec![0; len]).is_err());
        }
        assert_eq!(overlay.freeze().unwrap().blocks().count(), 0);
        assert!(Window::new(base(), 100, LEN as u64).is_err());
        assert!(Window::new(base(), u64::MAX, 2).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// An overlay, and its patch over the base, read as a plain copy that got the same writes;
        /// and the base stays what it was. Half of the writes go through a window.
        #[test]
        fn it_reads_as_a_copy_would(writes in proptest::collection::vec(
            (0..LEN, proptest::collection::vec(any::<u8>(), 0..2 * OVERLAY_BLOCK), any::<bool>()), 0..12
        )) {
            let (device, mut copy) = (base(), all(&base()));
            let overlay = Arc::new(Overlay::new(Arc::clone(&device)));
            let window = Window::new(Arc::clone(&overlay), 1000, LEN as u64 - 1000).unwrap();
            for (at, bytes, through_window) in writes {
                let at = if through_window { at.max(1000) } else { at };
                let bytes = &bytes[..bytes.len().min(LEN - at)];
                copy[at..at + bytes.len()].copy_from_slice(bytes);
                if through_window {
                    window.write_at(at as u64 - 1000, bytes).unwrap();
                } else {
                    overlay.write_at(at as u64, bytes).unwrap();
                }
            }
            prop_assert_eq!(&all(&*overlay), &copy);
            prop_assert_eq!(&all(&Patched::new(&*device, overlay.freeze().unwrap())), &copy);
            prop_assert_eq!(all(&*device), all(&base()));
        }
    }
}
