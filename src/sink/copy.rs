//! Reading the base once for many files that are written at once. The slowest sets the pace.

use std::ops::Range;

use super::Error;
use super::source::Source;
use crate::io::CancelToken;
use crate::io::chunk::{CHUNK, Chunk};
use crate::io::pool::BufferPool;
use crate::io::stream::{ImageStream, Subscriber};

/// How many chunks may wait to be written.
pub(super) const CHUNKS_WAITING: usize = 10;

/// Reads all of `source` for those who have subscribed to `image`.
pub(super) fn read(source: &Source, image: ImageStream, cancel: &CancelToken) -> Result<(), Error> {
    for chunk in chunks(source) {
        image.publish(chunk?, cancel)?;
    }
    image.finish(source.len());
    Ok(())
}

/// All chunks of `source` that have data in them.
pub(super) fn chunks(source: &Source) -> impl Iterator<Item = Result<Chunk, Error>> {
    let pool = BufferPool::new(CHUNK, CHUNKS_WAITING);
    windows(source.data()).map(move |(offset, filled)| {
        let mut buffer = pool.take();
        for range in &filled {
            source.read(offset + range.start as u64, &mut buffer[range.clone()])?;
        }
        Ok(Chunk::new(offset, buffer, &filled))
    })
}

/// Feeds `each` with what comes. [`Error::Cancelled`] when the stream was broken off: then nothing
/// that was written may be kept.
pub(super) fn drain(
    image: &mut Subscriber,
    cancel: &CancelToken,
    mut each: impl FnMut(&Chunk) -> Result<(), Error>,
) -> Result<(), Error> {
    for chunk in image.by_ref() {
        cancel.check()?;
        each(&chunk)?;
    }
    image.whole().map(|_| ()).ok_or(Error::Cancelled)
}

/// Cuts ranges of the base into windows of [`CHUNK`] bytes: the offset of each that has data in
/// it, and where in it.
fn windows(data: &[Range<u64>]) -> impl Iterator<Item = (u64, Vec<Range<usize>>)> {
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
    use crate::io::chunk::GRAIN;

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
}
