//! The pipeline that all sinks share: one reader, a ring of buffers, many writers at once.
//!
//! Each chunk of the base is read once and handed to every writer; it returns to the ring when the
//! last of them is done with it. So memory is the ring's, however large the image is and however
//! many are written, and the slowest writer sets the pace.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::Error;
use super::source::{GRAIN, Source};
use crate::disk::aligned::{Aligned, is_zero};

/// Size of a chunk in bytes. Large enough that a write of one keeps any disk busy.
pub(super) const CHUNK: usize = 4 << 20;

/// How many chunks there are at most at a time.
pub(super) const RING: usize = 12;

/// Why work should end before it is done.
#[derive(Default)]
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
    failed: AtomicBool,
}

impl Stop {
    /// Ends the work as soon as `asked` is true.
    pub fn when(asked: Arc<AtomicBool>) -> Self {
        Self { asked, failed: AtomicBool::new(false) }
    }

    /// One part of the work failed: the others may give up.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether the user asked for the end.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// [`Error::Cancelled`] when there is no point in going on.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_asked() || self.failed.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// The buffers that chunks are made of.
pub(super) struct Ring {
    home: Sender<Aligned>,
    free: Receiver<Aligned>,
    made: AtomicUsize,
    size: usize,
}

impl Ring {
    /// A ring of `size` buffers, which are made when they are first needed.
    pub fn new(size: usize) -> Self {
        let (home, free) = crossbeam_channel::bounded(size);
        Self { home, free, made: AtomicUsize::new(0), size }
    }

    /// A buffer of [`CHUNK`] bytes with any content; waits until one is free.
    pub fn take(&self) -> Aligned {
        if let Ok(buffer) = self.free.try_recv() {
            return buffer;
        }
        if self.made.fetch_add(1, Ordering::Relaxed) < self.size {
            return Aligned::zeroed(CHUNK);
        }
        self.made.store(self.size, Ordering::Relaxed);
        // The ring holds a sender itself, so the channel cannot be closed.
        self.free.recv().unwrap_or_else(|_| Aligned::zeroed(CHUNK))
    }

    /// Wraps a buffer, of which the ranges in `filled` hold the base's bytes from `offset` on. They
    /// are ascending and begin at multiples of [`GRAIN`]; all else is known to be zero.
    pub fn chunk(&self, offset: u64, buffer: Aligned, filled: &[Range<usize>]) -> Chunk {
        let mut data: Vec<Range<usize>> = Vec::new();
        for range in filled {
            for start in range.clone().step_by(GRAIN as usize) {
                let grain = start..(start + GRAIN as usize).min(range.end);
                match data.last_mut() {
                    _ if is_zero(&buffer[grain.clone()]) => {}
                    Some(last) if last.end == grain.start => last.end = grain.end,
                    _ => data.push(grain),
                }
            }
        }
        let covered = filled.iter().map(|range| range.len() as u64).sum();
        Chunk { offset, buffer: Some(buffer), data, covered, home: self.home.clone() }
    }
}

/// A window of the base, shared by its writers.
pub(super) struct Chunk {
    offset: u64,
    buffer: Option<Aligned>,
    data: Vec<Range<usize>>,
    covered: u64,
    home: Sender<Aligned>,
}

impl Chunk {
    /// What is in the window that is not zero: offsets in the image, ascending, and bytes. Extents
    /// begin at multiples of [`GRAIN`] and end at one or at the image's end.
    pub fn extents(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let bytes: &[u8] = self.buffer.as_deref().unwrap_or_default();
        self.data.iter().map(move |range| (self.offset + range.start as u64, &bytes[range.clone()]))
    }

    /// How many bytes were read for it, zeros included.
    pub fn covered(&self) -> u64 {
        self.covered
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // Nobody misses it when the ring is gone.
            let _ = self.home.try_send(buffer);
        }
    }
}

/// What writers get.
pub(super) enum Item {
    /// The next window with data in it.
    Chunk(Arc<Chunk>),
    /// All was sent. A stream that ends without it was broken off.
    End,
}

/// The reader's end of the way to its writers.
pub(super) struct Fan {
    writers: Vec<Sender<Item>>,
}

impl Fan {
    /// The way to `writers` writers.
    pub fn new(writers: usize) -> (Self, Vec<Receiver<Item>>) {
        // The ring bounds what is on the way; the channels need not.
        let (writers, receivers) = (0..writers).map(|_| crossbeam_channel::unbounded()).unzip();
        (Self { writers }, receivers)
    }

    /// Hands `chunk` to every writer. False if one of them has given up.
    pub fn send(&self, chunk: Chunk) -> bool {
        let chunk = Arc::new(chunk);
        self.writers.iter().all(|writer| writer.send(Item::Chunk(Arc::clone(&chunk))).is_ok())
    }

    /// Says that all was sent. False if a writer has given up.
    pub fn end(self) -> bool {
        self.writers.iter().all(|writer| writer.send(Item::End).is_ok())
    }
}

/// Reads all of `source` for the writers of `fan`.
pub(super) fn read(source: &Source, fan: Fan, stop: &Stop) -> Result<(), Error> {
    let ring = Ring::new(RING);
    for (offset, filled) in windows(source.data()) {
        stop.check()?;
        let mut buffer = ring.take();
        for range in &filled {
            source.read(offset + range.start as u64, &mut buffer[range.clone()])?;
        }
        // A writer that has given up says itself why.
        if !fan.send(ring.chunk(offset, buffer, &filled)) {
            return Err(Error::Cancelled);
        }
    }
    if fan.end() { Ok(()) } else { Err(Error::Cancelled) }
}

/// Feeds `each` with what comes. [`Error::Cancelled`] when the stream was broken off: then nothing
/// that was written may be kept.
pub(super) fn drain(
    stream: &Receiver<Item>,
    stop: &Stop,
    mut each: impl FnMut(&Chunk) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Ok(item) = stream.recv() {
        stop.check()?;
        match item {
            Item::Chunk(chunk) => each(&chunk)?,
            Item::End => return Ok(()),
        }
    }
    Err(Error::Cancelled)
}

/// Cuts ranges of the base into windows of [`CHUNK`] bytes: the offset of each that has data in
/// it, and where in it.
pub(super) fn windows(data: &[Range<u64>]) -> impl Iterator<Item = (u64, Vec<Range<usize>>)> {
    let mut rest = data.iter().cloned().peekable();
    std::iter::from_fn(move || {
        let first = rest.peek()?;
        let offset = first.start - first.start % CHUNK as u64;
        let end = offset + CHUNK as u64;
        let mut filled = Vec::new();
        while let Some(range) = rest.peek_mut().filter(|range| range.start < end) {
            filled.push((range.start - offset) as usize..(range.end.min(end) - offset) as usize);
            if range.end > end {
                range.start = end;
                break;
            }
            rest.next();
        }
        Some((offset, filled))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_every_range_once() {
        const C: u64 = CHUNK as u64;
        let data = [0..GRAIN, 2 * GRAIN..3 * C + GRAIN, 5 * C - GRAIN..5 * C, 7 * C..7 * C + 10];
        let seen: Vec<_> = windows(&data)
            .map(|(at, filled)| {
                (at, filled.into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>())
            })
            .collect();
        let g = GRAIN as usize;
        assert_eq!(
            seen,
            [
                (0, vec![(0, g), (2 * g, CHUNK)]),
                (C, vec![(0, CHUNK)]),
                (2 * C, vec![(0, CHUNK)]),
                (3 * C, vec![(0, g)]),
                (4 * C, vec![(CHUNK - g, CHUNK)]),
                (7 * C, vec![(0, 10)]),
            ]
        );
    }

    #[test]
    fn a_chunk_tells_data_from_zeros() {
        let ring = Ring::new(RING);
        let g = GRAIN as usize;
        let mut buffer = ring.take();
        buffer[g] = 1;
        buffer[2 * g + 5] = 1;
        buffer[5 * g] = 1; // outside of what was filled
        buffer[7 * g + 99] = 1;
        let chunk = ring.chunk(1 << 30, buffer, &[0..4 * g, 6 * g..7 * g + 100]);
        let seen: Vec<_> = chunk.extents().map(|(at, bytes)| (at - (1 << 30), bytes.len())).collect();
        assert_eq!(seen, [(GRAIN, 2 * g), (7 * GRAIN, 100)]);
        assert_eq!(chunk.covered(), 4 * GRAIN + GRAIN + 100);
    }

    #[test]
    fn a_broken_stream_is_no_end() {
        let stop = Stop::default();
        let (fan, receivers) = Fan::new(2);
        let ring = Ring::new(RING);
        assert!(fan.send(ring.chunk(0, ring.take(), &[])));
        drop(fan);
        assert!(matches!(drain(&receivers[0], &stop, |_| Ok(())), Err(Error::Cancelled)));
        let (fan, receivers) = Fan::new(1);
        assert!(fan.end());
        assert!(drain(&receivers[0], &stop, |_| Ok(())).is_ok());
    }

    #[test]
    fn the_ring_never_holds_more_than_its_size() {
        let ring = Arc::new(Ring::new(RING));
        let (fan, receivers) = Fan::new(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let slow = drain(&receivers[0], &Stop::default(), |_| Ok(()));
                assert!(slow.is_ok());
            });
            for n in 0..5 * RING as u64 {
                assert!(fan.send(ring.chunk(n, ring.take(), &[])));
            }
            assert!(fan.end());
        });
        assert_eq!(ring.made.load(Ordering::Relaxed), RING);
    }
}
