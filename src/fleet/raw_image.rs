//! An image in parts, which several threads get at once, read from its first byte to its last.

use std::ops::Range;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::base::{self, Source, Stop};
use crate::io::CancelToken;
use crate::io::pool::PooledBuf;

/// So many parts are got at once, each by a thread, and no more are in memory: with that which is read, or waited for, so
/// many less one may be under way or wait.
pub(super) const AT_ONCE: usize = 3;

/// The bytes of a part.
pub(super) struct Unpacked {
    pub(super) buffer: PooledBuf,
    /// How many of the buffer's bytes they are.
    pub(super) len: usize,
}

impl Unpacked {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

pub(super) type Piece = Result<Unpacked, base::Error>;

/// Gets the part with this number, counted from 0, which has so many bytes.
pub(super) type Load<'a> = dyn Fn(usize, usize) -> Piece + Sync + 'a;

/// Where the parts of an image lie in it.
pub(super) struct Parts<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// Size of the image in bytes.
    pub(super) len: u64,
    /// In their order; what is in none of them is zero.
    pub(super) places: Vec<Range<u64>>,
    pub(super) cancel: &'a CancelToken,
}

/// A part that is to be got, and who waits for it.
struct Job {
    number: usize,
    len: usize,
    to: Sender<Piece>,
}

impl Parts<'_> {
    /// Has `read` read the image, whose parts `load` gets meanwhile.
    pub(super) fn read_by<T>(&self, load: &Load<'_>, read: impl FnOnce(&mut RawImage<'_>) -> T) -> T {
        thread::scope(|scope| {
            let (start, begun) = bounded::<()>(1);
            let (to_image, pieces) = bounded(AT_ONCE - 1);
            let (to_workers, jobs) = bounded(0);
            for _ in 0..AT_ONCE {
                let jobs = jobs.clone();
                scope.spawn(move || work(&jobs, load));
            }
            // where all of them have ended, nobody takes a job any more
            drop(jobs);
            scope.spawn(move || self.hand_out(&begun, &to_image, &to_workers));
            read(&mut RawImage { parts: self, start: Some(start), pieces, next: 0, current: None, at: 0 })
        })
    }

    /// Hands the parts out in their order, once somebody wants the first. Whoever reads the image gets the places at
    /// which they arrive, in the same order, so that it does not matter which one is there first.
    fn hand_out(&self, begun: &Receiver<()>, to_image: &Sender<Receiver<Piece>>, to_workers: &Sender<Job>) {
        if begun.recv().is_err() {
            return;
        }
        for (number, place) in self.places.iter().enumerate() {
            let (to, piece) = bounded(1);
            let job = Job { number, len: (place.end - place.start) as usize, to };
            if to_image.send(piece).is_err() || to_workers.send(job).is_err() {
                return;
            }
        }
    }

    /// What to say where a thread ended without a result.
    pub(super) fn lost(&self) -> base::Error {
        base::Error::Worker { name: self.name.to_owned() }
    }
}

/// Gets parts until there are no more, or one fails.
fn work(jobs: &Receiver<Job>, load: &Load<'_>) {
    for Job { number, len, to } in jobs {
        let piece = load(number, len);
        let is_good = piece.is_ok();
        // who does not wait any more has met another fault
        if to.send(piece).is_err() || !is_good {
            return;
        }
    }
}

/// The raw image, from its first byte to its last.
pub(super) struct RawImage<'a> {
    parts: &'a Parts<'a>,
    /// Says that the first part is wanted.
    start: Option<Sender<()>>,
    pieces: Receiver<Receiver<Piece>>,
    /// The number of the part behind the one that is read now.
    next: usize,
    /// Where the part begins that is read now, and its bytes.
    current: Option<(u64, Unpacked)>,
    at: u64,
}

impl RawImage<'_> {
    /// Where the next part begins; behind the last one, where the image ends.
    fn next_start(&self) -> u64 {
        self.parts.places.get(self.next).map_or(self.parts.len, |place| place.start)
    }

    /// What the part that is read now has from here on.
    fn here(&self) -> &[u8] {
        let Some((offset, unpacked)) = &self.current else { return &[] };
        self.at
            .checked_sub(*offset)
            .and_then(|from| unpacked.bytes().get(from as usize..))
            .unwrap_or_default()
    }

    /// Waits for the next part.
    fn load(&mut self) -> Result<(), base::Error> {
        let lost = || self.parts.lost();
        self.parts.cancel.check()?;
        if let Some(start) = self.start.take() {
            start.send(()).map_err(|_| lost())?;
        }
        // nobody needs its buffer any more
        self.current = None;
        let piece = self.pieces.recv().map_err(|_| lost())?;
        let unpacked = piece.recv().map_err(|_| lost())??;
        self.current = Some((self.next_start(), unpacked));
        self.next += 1;
        Ok(())
    }
}

impl Source for RawImage<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        if self.at >= self.parts.len || buf.is_empty() {
            return Ok(0);
        }
        // what no part has is zero
        let zeros_until = self.next_start();
        if self.here().is_empty() && zeros_until == self.at {
            self.load()?;
        }
        let count = match self.here() {
            [] => {
                let count = (zeros_until - self.at).min(buf.len() as u64) as usize;
                buf[..count].fill(0);
                count
            }
            here => {
                let count = here.len().min(buf.len());
                buf[..count].copy_from_slice(&here[..count]);
                count
            }
        };
        self.at += count as u64;
        Ok(count)
    }

    fn is_cheap(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::io::pool::BufferPool;

    fn read(places: &[Range<u64>], len: u64, load: &Load<'_>) -> Result<Vec<u8>, String> {
        let cancel = CancelToken::default();
        let parts = Parts { name: "x", len, places: places.to_vec(), cancel: &cancel };
        parts.read_by(load, |image| {
            let (mut all, mut buffer) = (Vec::new(), [0xff; 7]);
            loop {
                match image.read(&mut buffer) {
                    Ok(0) => return Ok(all),
                    Ok(count) => all.extend_from_slice(&buffer[..count]),
                    Err(stop) => return Err(stop.of_what_stays("x").to_string()),
                }
            }
        })
    }

    /// The bytes of a part: its number, from 1.
    fn piece(number: usize, len: usize) -> Piece {
        let mut buffer = BufferPool::new(10, 0).take();
        buffer.fill(u8::try_from(number + 1).unwrap());
        Ok(Unpacked { buffer, len })
    }

    fn places(starts: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
        starts.map(|n| n * 10..n * 10 + 10).collect()
    }

    #[test]
    fn an_image_is_read_in_order_whichever_part_is_there_first() {
        let mut places = places([0, 1].into_iter().chain(3..20));
        places.push(200..205);
        let mut expected = vec![0; 209];
        for (number, place) in places.iter().enumerate() {
            expected[place.start as usize..place.end as usize].fill(u8::try_from(number + 1).unwrap());
        }
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let slower_at_first = |number: usize, len: usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(4 - number as u64 % 4));
            now.fetch_sub(1, Ordering::SeqCst);
            piece(number, len)
        };
        assert_eq!(read(&places, 209, &slower_at_first).unwrap(), expected);
        let most = most.into_inner();
        assert!((2..=AT_ONCE).contains(&most), "{most} at once");
    }

    #[test]
    fn nothing_is_got_before_it_is_wanted_and_not_much_before_it_is_read() {
        let got = AtomicUsize::new(0);
        let load = |number: usize, len: usize| {
            got.fetch_add(1, Ordering::SeqCst);
            piece(number, len)
        };
        let (cancel, name) = (CancelToken::default(), "x");
        let parts = Parts { name, len: 1000, places: places(0..100), cancel: &cancel };
        parts.read_by(&load, |image| {
            thread::sleep(Duration::from_millis(20));
            assert_eq!(got.load(Ordering::SeqCst), 0);
            assert_eq!(image.read(&mut [0; 1]).unwrap_or_default(), 1);
            thread::sleep(Duration::from_millis(50));
            assert!((1..=AT_ONCE).contains(&got.load(Ordering::SeqCst)));
        });
        assert!(got.into_inner() <= AT_ONCE);
    }

    #[test]
    fn a_part_that_fails_ends_the_image_and_nobody_waits_for_the_others() {
        let fault = || base::Error::Worker { name: "the third".to_owned() };
        let load = |number: usize, len: usize| if number == 2 { Err(fault()) } else { piece(number, len) };
        assert_eq!(read(&places(0..40), 400, &load).unwrap_err(), fault().to_string());
        let all_fail = |_: usize, _: usize| Err(fault());
        assert_eq!(read(&places(0..40), 400, &all_fail).unwrap_err(), fault().to_string());
    }
}
