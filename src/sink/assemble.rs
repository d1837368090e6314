//! Pieces of any length, put together to windows of [`CHUNK`] bytes.

use super::copy::{CHUNK, Chunk, Ring};
use crate::disk::aligned::Aligned;

/// Takes an image in order and makes chunks of it.
pub(super) struct Assembler {
    ring: Ring,
    /// How much of the image was seen.
    position: u64,
    /// The bytes of the window that `position` lies in, up to `position`; none while all of them
    /// are zero.
    window: Option<Aligned>,
}

impl Assembler {
    /// Nothing was seen yet. Chunks take their buffers from `ring`.
    pub fn new(ring: Ring) -> Self {
        Self { ring, position: 0, window: None }
    }

    /// How much of the image was seen.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where in its window the position is.
    fn within(&self) -> usize {
        (self.position % CHUNK as u64) as usize
    }

    /// Takes data; false if `send` was false.
    pub fn data(&mut self, mut data: &[u8], mut send: impl FnMut(Chunk) -> bool) -> bool {
        while !data.is_empty() {
            let at = self.within();
            let (now, later) = data.split_at(data.len().min(CHUNK - at));
            let ring = &self.ring;
            let window = self.window.get_or_insert_with(|| {
                let mut window = ring.take();
                window[..at].fill(0);
                window
            });
            window[at..at + now.len()].copy_from_slice(now);
            if !self.advance(now.len(), &mut send) {
                return false;
            }
            data = later;
        }
        true
    }

    /// Takes zeros; false if `send` was false.
    pub fn zeros(&mut self, mut len: u64, mut send: impl FnMut(Chunk) -> bool) -> bool {
        while len > 0 {
            let at = self.within();
            let now = len.min((CHUNK - at) as u64) as usize;
            if let Some(window) = &mut self.window {
                window[at..at + now].fill(0);
            }
            if !self.advance(now, &mut send) {
                return false;
            }
            len -= now as u64;
        }
        true
    }

    fn advance(&mut self, n: usize, send: &mut impl FnMut(Chunk) -> bool) -> bool {
        self.position += n as u64;
        self.within() != 0 || self.pass(CHUNK, send)
    }

    /// Sends what the last window holds.
    pub fn flush(&mut self, mut send: impl FnMut(Chunk) -> bool) -> bool {
        self.pass(self.within(), &mut send)
    }

    fn pass(&mut self, len: usize, send: &mut impl FnMut(Chunk) -> bool) -> bool {
        let Some(window) = self.window.take() else { return true };
        send(self.ring.chunk(self.position - len as u64, window, std::slice::from_ref(&(0..len))))
    }
}
