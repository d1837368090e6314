//! The base as many cards read it: each at its own pace, and what one has read lately is there for
//! the others.
//!
//! Cards that keep pace share every window, so the base is read once; one that lags reads again for
//! itself, out of the kernel's cache mostly. No card ever waits for another one's writing, and memory
//! is what the cards hold in their hands and a few windows more.

use std::collections::VecDeque;
use std::io;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::Error;
use crate::disk::Patch;
use crate::io::chunk::CHUNK;
use crate::io::pool::{BufferPool, PooledBuf};
use crate::sink::source::Source;

/// How many windows are remembered.
const REMEMBERED: usize = 4;

/// The window size as an offset.
pub(super) const WINDOW: u64 = CHUNK as u64;

/// The base, shared by all cards.
pub(super) struct Windows<'s> {
    source: &'s Source,
    recent: Mutex<VecDeque<(u64, Arc<Slot>)>>,
    pool: BufferPool,
}

type Slot = OnceLock<Result<Arc<Window>, Arc<io::Error>>>;

/// [`WINDOW`] bytes of an image, from a multiple of that on; zeros behind its end.
pub(super) struct Window {
    offset: u64,
    buffer: PooledBuf,
}

impl Window {
    /// The bytes of a range that lies within.
    pub(super) fn bytes(&self, range: &Range<u64>) -> &[u8] {
        &self[(range.start - self.offset) as usize..(range.end - self.offset) as usize]
    }
}

impl Deref for Window {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer
    }
}

impl<'s> Windows<'s> {
    /// The base that `source` reads.
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, recent: Mutex::default(), pool: BufferPool::new(CHUNK, REMEMBERED) }
    }

    /// The window at `offset`, a multiple of [`WINDOW`].
    pub(super) fn get(&self, offset: u64) -> Result<Arc<Window>, Error> {
        let slot = {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            match recent.iter().find(|(at, _)| *at == offset) {
                Some((_, slot)) => Arc::clone(slot),
                None => {
                    if recent.len() == REMEMBERED {
                        recent.pop_front();
                    }
                    let slot = Arc::<Slot>::default();
                    recent.push_back((offset, Arc::clone(&slot)));
                    slot
                }
            }
        };
        // who comes second waits until the first has read
        let read = slot.get_or_init(|| self.read(offset).map(Arc::new).map_err(Arc::new));
        read.clone().map_err(|source| self.fault(source))
    }

    fn read(&self, offset: u64) -> io::Result<Window> {
        let mut buffer = self.pool.take();
        let mut at = offset;
        let end = (offset + WINDOW).min(self.source.len());
        for range in self.source.data().within(offset..end) {
            buffer[(at - offset) as usize..(range.start - offset) as usize].fill(0);
            let part = &mut buffer[(range.start - offset) as usize..(range.end - offset) as usize];
            self.source.read(range.start, part)?;
            at = range.end;
        }
        buffer[(at - offset) as usize..].fill(0);
        Ok(Window { offset, buffer })
    }

    /// A copy of `window` with `patch` over it.
    pub(super) fn patched(&self, window: &Window, patch: &Patch) -> Result<Window, Error> {
        let mut buffer = self.pool.take();
        buffer.copy_from_slice(window);
        patch.apply(window.offset, &mut buffer).map_err(|source| self.fault(source.into()))?;
        Ok(Window { offset: window.offset, buffer })
    }

    fn fault(&self, source: Arc<io::Error>) -> Error {
        Error::Base { path: self.source.path().to_owned(), source }
    }
}
