//! An image on its way from whoever produces it to all who write it, each at its own pace.
//!
//! The producer publishes [`Chunk`]s; every subscriber takes them in order. Only a few are kept, so
//! memory stays flat however large the image is and however many read it. Who must not miss any
//! (a file) holds the producer up; of those that may miss some (cards, which read them from the cache
//! later) the fastest does.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::cancel::{CancelToken, Cancelled, POLL};
use super::chunk::Chunk;

/// What a subscriber is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Every chunk: the producer waits for it.
    Every,
    /// As many as it keeps up with: the producer waits for the fastest of these alone, and the others
    /// miss chunks.
    BestEffort,
}

/// The producer's end. When it is dropped without [`ImageStream::finish`] the subscribers know that
/// the image is not whole.
pub struct ImageStream {
    shared: Arc<Shared>,
    /// How many chunks are kept at most.
    most: usize,
}

/// One reader of an image.
pub struct Subscriber {
    shared: Arc<Shared>,
    index: usize,
}

struct Shared {
    state: Mutex<State>,
    /// Something was published, or it ended.
    published: Condvar,
    /// Somebody took something, or left.
    taken: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Arc<Chunk>>,
    /// The sequence number of the first of them.
    first: u64,
    /// What each subscriber takes next; none where it has left.
    cursors: Vec<Option<Cursor>>,
    end: Option<End>,
}

struct Cursor {
    next: u64,
    delivery: Delivery,
}

#[derive(Clone, Copy)]
enum End {
    /// The image is whole and has this many bytes.
    Whole(u64),
    Broken,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets the first chunk, and whoever has not taken it yet misses it.
    fn forget(&mut self) {
        if self.chunks.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Forgets what everybody has taken.
    fn trim(&mut self) {
        while !self.chunks.is_empty() && self.cursors.iter().flatten().all(|c| c.next > self.first) {
            self.forget();
        }
    }

    /// Whether the first chunk may be forgotten although somebody has not taken it.
    fn may_be_missed(&self) -> bool {
        let (mut best_effort, mut ahead) = (false, false);
        for cursor in self.cursors.iter().flatten() {
            let taken = cursor.next > self.first;
            match cursor.delivery {
                Delivery::Every if !taken => return false,
                Delivery::Every => {}
                Delivery::BestEffort => (best_effort, ahead) = (true, ahead || taken),
            }
        }
        ahead || !best_effort
    }
}

impl ImageStream {
    /// A stream that keeps at most `most` chunks.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let (state, published, taken) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { shared: Arc::new(Shared { state, published, taken }), most }
    }

    /// A new reader, of what is published from now on.
    #[must_use]
    pub fn subscribe(&self, delivery: Delivery) -> Subscriber {
        let mut state = self.shared.state();
        let next = state.first + state.chunks.len() as u64;
        state.cursors.push(Some(Cursor { next, delivery }));
        Subscriber { shared: Arc::clone(&self.shared), index: state.cursors.len() - 1 }
    }

    /// Hands `chunk` to all subscribers, as soon as there is a place for it. Chunks that are all zero
    /// need not be published.
    ///
    /// # Errors
    /// [`Cancelled`] soon after `cancel` is, also while this waits.
    pub fn publish(&self, chunk: Chunk, cancel: &CancelToken) -> Result<(), Cancelled> {
        let mut state = self.shared.state();
        loop {
            cancel.check()?;
            state.trim();
            if state.chunks.len() >= self.most && state.may_be_missed() {
                state.forget();
            }
            if state.chunks.len() < self.most {
                break;
            }
            let waited = self.shared.taken.wait_timeout(state, POLL);
            state = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
        if state.cursors.iter().any(Option::is_some) {
            state.chunks.push_back(Arc::new(chunk));
            self.shared.published.notify_all();
        }
        Ok(())
    }

    /// Says that the image is whole and has `len` bytes.
    pub fn finish(self, len: u64) {
        self.shared.state().end = Some(End::Whole(len));
    }
}

impl Drop for ImageStream {
    fn drop(&mut self) {
        self.shared.state().end.get_or_insert(End::Broken);
        self.shared.published.notify_all();
    }
}

impl Subscriber {
    /// The size of the image in bytes if it is whole; `None` where the producer gave up, or is still
    /// at work.
    #[must_use]
    pub fn whole(&self) -> Option<u64> {
        match self.shared.state().end {
            Some(End::Whole(len)) => Some(len),
            Some(End::Broken) | None => None,
        }
    }
}

/// The chunks, in order; waits for the next one. `None` when there will be no more:
/// [`Subscriber::whole`] says why.
impl Iterator for Subscriber {
    type Item = Arc<Chunk>;

    fn next(&mut self) -> Option<Arc<Chunk>> {
        let mut state = self.shared.state();
        loop {
            let first = state.first;
            let cursor = state.cursors.get_mut(self.index)?.as_mut()?;
            cursor.next = cursor.next.max(first);
            let index = usize::try_from(cursor.next - first).unwrap_or(usize::MAX);
            if let Some(chunk) = state.chunks.get(index).map(Arc::clone) {
                if let Some(Some(cursor)) = state.cursors.get_mut(self.index) {
                    cursor.next += 1;
                }
                state.trim();
                self.shared.taken.notify_all();
                return Some(chunk);
            }
            if state.end.is_some() {
                return None;
            }
            state = self.shared.published.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(cursor) = state.cursors.get_mut(self.index) {
            *cursor = None;
        }
        state.trim();
        self.shared.taken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::chunk::CHUNK;
    use super::super::pool::BufferPool;
    use super::*;

    const MOST: usize = 3;

    fn never() -> CancelToken {
        CancelToken::default()
    }

    /// A chunk whose first byte is `n`, which is not 0.
    fn chunk(pool: &BufferPool, n: u8) -> Chunk {
        let mut buffer = pool.take();
        buffer.fill(0);
        buffer[0] = n;
        Chunk::filled(u64::from(n) * CHUNK as u64, buffer, CHUNK)
    }

    fn number(chunk: &Chunk) -> u64 {
        chunk.extents().next().map_or(0, |(at, _)| at / CHUNK as u64)
    }

    #[test]
    fn who_must_not_miss_anything_gets_every_chunk_however_slow() {
        let (pool, stream) = (BufferPool::new(CHUNK, 1), ImageStream::new(MOST));
        let readers = [Delivery::Every, Delivery::Every].map(|d| stream.subscribe(d));
        let seen: Vec<Vec<u64>> = thread::scope(|scope| {
            let threads = readers.map(|mut reader| {
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    for chunk in reader.by_ref() {
                        thread::yield_now();
                        seen.push(number(&chunk));
                    }
                    assert_eq!(reader.whole(), Some(7));
                    seen
                })
            });
            for n in 1..40 {
                stream.publish(chunk(&pool, n), &never()).unwrap();
                assert!(stream.shared.state().chunks.len() <= MOST);
            }
            stream.finish(7);
            threads.map(|t| t.join().unwrap()).into()
        });
        let all: Vec<u64> = (1..40).collect();
        assert_eq!(seen, [all.clone(), all]);
    }

    #[test]
    fn the_fastest_of_those_that_may_miss_some_sets_the_pace() {
        let (pool, stream) = (BufferPool::new(CHUNK, 1), ImageStream::new(MOST));
        let (mut fast, mut slow) =
            (stream.subscribe(Delivery::BestEffort), stream.subscribe(Delivery::BestEffort));
        for n in 1..20 {
            stream.publish(chunk(&pool, n), &never()).unwrap();
            assert_eq!(number(&fast.next().unwrap()), u64::from(n));
        }
        // the last three are there, the others were missed
        assert_eq!(number(&slow.next().unwrap()), 17);
        // nobody has taken these yet
        for n in 20..23 {
            stream.publish(chunk(&pool, n), &never()).unwrap();
        }
        let cancel = never();
        let published = thread::scope(|scope| {
            let publisher = scope.spawn(|| stream.publish(chunk(&pool, 23), &cancel));
            thread::sleep(POLL / 2);
            assert!(!publisher.is_finished());
            cancel.cancel();
            publisher.join().unwrap()
        });
        assert_eq!(published, Err(Cancelled));
        drop(fast);
        drop(slow);
        stream.publish(chunk(&pool, 23), &never()).unwrap();
        assert!(stream.shared.state().chunks.is_empty());
    }

    #[test]
    fn a_producer_that_waits_can_be_stopped() {
        let (pool, stream) = (BufferPool::new(CHUNK, 1), ImageStream::new(1));
        let mut reader = stream.subscribe(Delivery::Every);
        stream.publish(chunk(&pool, 1), &never()).unwrap();
        let cancel = never();
        thread::scope(|scope| {
            scope.spawn(|| cancel.cancel());
            assert_eq!(stream.publish(chunk(&pool, 2), &cancel), Err(Cancelled));
        });
        drop(stream);
        // what was published is still read; then the image is known to be broken off
        assert_eq!(reader.by_ref().map(|chunk| number(&chunk)).collect::<Vec<_>>(), [1]);
        assert_eq!(reader.whole(), None);
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let (pool, stream) = (BufferPool::new(CHUNK, 1), ImageStream::new(1));
        let (stays, leaves) = (stream.subscribe(Delivery::Every), stream.subscribe(Delivery::Every));
        thread::scope(|scope| {
            scope.spawn(|| drop(leaves));
            let reader = scope.spawn(|| stays.count());
            for n in 1..10 {
                stream.publish(chunk(&pool, n), &never()).unwrap();
            }
            stream.finish(0);
            assert_eq!(reader.join().unwrap(), 9);
        });
    }
}
