//! Buffers that are used again instead of being allocated and cleared each time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use super::aligned::AlignedBuf;

/// A source of buffers of one size. It never waits: what bounds the memory is how many buffers its
/// users keep, not the pool.
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    /// Size of a buffer in bytes.
    size: usize,
    /// How many buffers that nobody uses are kept.
    most: usize,
    free: Mutex<Vec<AlignedBuf>>,
}

/// A buffer of a pool, which gets it back when this is dropped.
pub struct PooledBuf {
    /// Always there until the buffer is dropped.
    buffer: Option<AlignedBuf>,
    pool: Arc<Shared>,
}

impl BufferPool {
    /// Buffers of `size` bytes, of which at most `most` are kept while nobody uses them.
    #[must_use]
    pub fn new(size: usize, most: usize) -> Self {
        Self { shared: Arc::new(Shared { size, most, free: Mutex::default() }) }
    }

    /// A buffer with any content.
    #[must_use]
    pub fn take(&self) -> PooledBuf {
        let free = self.shared.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = free.unwrap_or_else(|| AlignedBuf::zeroed(self.shared.size));
        PooledBuf { buffer: Some(buffer), pool: Arc::clone(&self.shared) }
    }
}

impl Deref for PooledBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.as_deref().unwrap_or_default()
    }
}

impl DerefMut for PooledBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.buffer.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for PooledBuf {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.pool.most {
            free.extend(self.buffer.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_buffers_are_kept_than_allowed() {
        let pool = BufferPool::new(4096, 2);
        let mut buffers = [(); 3].map(|()| pool.take());
        buffers[0][7] = 1;
        assert!(buffers.iter().all(|b| b.len() == 4096));
        drop(buffers);
        assert_eq!(pool.shared.free.lock().unwrap().len(), 2);
        let again = pool.take();
        assert_eq!((again.len(), pool.shared.free.lock().unwrap().len()), (4096, 1));
    }
}
