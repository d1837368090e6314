//! Reading back what was written to a card while the base is still being decoded.
//!
//! The bytes themselves are gone by then, so checksums are compared. What agrees need not be read
//! once more later; whatever does not, or was not reached, is then compared byte by byte like
//! everything else, and that comparison alone says whether a card is bad.

use std::io;
use std::ops::Range;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::device::Card;
use super::layout::SYNC_EVERY;
use crate::disk::{Ranges, cut};
use crate::io::{AlignedBuf, CancelToken};

/// The card is told to store what it got after so many bytes. Cards of tests are small.
const EVERY: u64 = if cfg!(test) { 1 << 20 } else { SYNC_EVERY };
/// When nothing more was written for so long, the card has time to read what it got.
const IDLE: Duration = Duration::from_millis(200);
/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// A range that was written, and the checksum of what was written there.
pub(super) struct Written {
    range: Range<u64>,
    sum: u32,
}

impl Written {
    /// `bytes` were written from `offset` on.
    pub(super) fn new(offset: u64, bytes: &[u8]) -> Self {
        Self { range: offset..offset + bytes.len() as u64, sum: crc32c::crc32c(bytes) }
    }

    /// Whether `card` gives it back. `buffer` has [`PIECE`] bytes.
    fn is_on(&self, card: &dyn Card, buffer: &mut AlignedBuf) -> io::Result<bool> {
        let mut sum = 0;
        for piece in cut(self.range.clone(), PIECE) {
            let read = &mut buffer[..(piece.end - piece.start) as usize];
            card.read_at(piece.start, read)?;
            sum = crc32c::crc32c_append(sum, read);
        }
        Ok(sum == self.sum)
    }
}

/// What was found on a card.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What was read back as it was written.
    pub right: Ranges,
    /// The first range that was not.
    pub wrong: Option<Range<u64>>,
}

/// Has `card` store what it got and reads it back, until something is wrong or it is cancelled. What is
/// left when no more comes is left for later: then it is read while the rest is written.
pub(super) fn follow(card: &dyn Card, written: &Receiver<Written>, cancel: &CancelToken) -> Found {
    let mut found = Found::default();
    let mut buffer = AlignedBuf::zeroed(PIECE as usize);
    let (mut waiting, mut bytes) = (Vec::new(), 0);
    loop {
        match written.recv_timeout(IDLE) {
            Ok(news) => {
                bytes += news.range.end - news.range.start;
                waiting.push(news);
                if bytes < EVERY {
                    continue;
                }
            }
            Err(RecvTimeoutError::Timeout) if waiting.is_empty() => continue,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return found,
        }
        bytes = 0;
        // an error is met again, and told, when the rest is written
        if cancel.is_cancelled() || card.sync().is_err() {
            return found;
        }
        for news in waiting.drain(..) {
            if cancel.is_cancelled() {
                return found;
            }
            // a drive that does not even read is no different
            if !news.is_on(card, &mut buffer).unwrap_or(false) {
                found.wrong = Some(news.range);
                return found;
            }
            found.right.insert(news.range);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::mock::{Faults, MockCard};
    use super::*;

    #[test]
    fn while_nothing_comes_what_came_is_read() {
        let card = MockCard::new(EVERY, Faults::default());
        let (to, written) = crossbeam_channel::unbounded();
        let bytes = AlignedBuf::zeroed(4096);
        card.write_at(8192, &bytes).unwrap();
        to.send(Written::new(8192, &bytes)).unwrap();
        let found = std::thread::scope(|scope| {
            let follower = scope.spawn(|| follow(&*card, &written, &CancelToken::default()));
            let begun = Instant::now();
            while card.bytes_read() == 0 {
                assert!(begun.elapsed() < Duration::from_secs(60), "nothing was read");
                std::thread::yield_now();
            }
            drop(to);
            follower.join().unwrap()
        });
        assert!(found.right.iter().eq(std::iter::once(8192..12288)) && found.wrong.is_none(), "{found:?}");
    }
}
