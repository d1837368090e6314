//! The base of a fleet, as the raw bytes of an image in their order: from chunks that are fetched meanwhile.

use std::collections::VecDeque;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::chunks::{packed_most, unpack_into};
use super::error::Result;
use super::format::{CHUNK, Descriptor, Manifest, note};
use crate::base::{self, Base, DecodeError, Fetcher, ImageObserver, Options, Promised, Source, Stop};
use crate::io::CancelToken;
use crate::io::pool::{BufferPool, PooledBuf};
use crate::oci::{self, Blobs, Repository};
use crate::progress::{Quiet, Step};

/// So many chunks are fetched and unpacked at once.
const PARALLEL: usize = 4;
/// So many of those may be under way, or wait, behind the next one and the one after it: more would only take memory,
/// a whole chunk each.
const WAITING: usize = 2;
/// No chunk has more bytes of an image: those that are under way are all in memory.
const LARGEST_WINDOW: u64 = 16 << 20;

/// Where a chunk begins in the image, and its blob.
#[derive(Debug, Clone)]
struct Chunk {
    offset: u64,
    blob: Descriptor,
}

/// The chunks of a base.
struct Chunked {
    chunks: Vec<Chunk>,
    /// How many bytes of the image each has.
    window: u64,
    /// How many bytes all of them have as they are fetched.
    total: u64,
}

/// Whether these can be the chunks of an image of `len` bytes.
pub(super) fn is_whole(manifest: &Manifest, len: u64) -> bool {
    chunks(manifest, len).is_ok()
}

/// The chunks of a base of `len` bytes. `Err` says what is wrong with them.
fn chunks(manifest: &Manifest, len: u64) -> Result<Chunked, String> {
    let window = manifest.note(note::CHUNK_LENGTH).and_then(|text| text.parse().ok());
    let window: u64 = window.ok_or("it does not say how long its chunks are")?;
    if window == 0 || window > LARGEST_WINDOW {
        return Err(format!("its chunks have {window} bytes"));
    }
    let (mut next, mut total) = (0, 0_u64);
    let chunk = |blob: &Descriptor| {
        // each is read whole
        if blob.size > packed_most(window) {
            return Err(format!("the chunk sha256:{} should have {} bytes", blob.digest, blob.size));
        }
        let offset: Option<u64> = blob.note(note::OFFSET).and_then(|text| text.parse().ok());
        let fitting = |offset: &u64| blob.media_type == CHUNK && offset.is_multiple_of(window);
        let offset = offset.filter(fitting).filter(|offset| (next..len).contains(offset));
        let offset = offset.ok_or_else(|| format!("the chunk sha256:{} is out of place", blob.digest))?;
        (next, total) = (offset.saturating_add(window), total.saturating_add(blob.size));
        Ok(Chunk { offset, blob: blob.clone() })
    };
    let chunks = manifest.layers.iter().map(chunk).collect::<Result<_, String>>()?;
    Ok(Chunked { chunks, window, total })
}

/// Gets the base that `manifest` has the chunks of into the cache; `observer` sees it meanwhile. `Ok(Err)` says what is
/// wrong with the manifest.
pub(super) fn assemble(
    repository: &Repository<'_>,
    manifest: &Manifest,
    image: &Promised,
    options: &Options,
    fetcher: &Fetcher<'_>,
    observer: Option<&mut dyn ImageObserver>,
) -> Result<Result<Base, String>> {
    let Chunked { chunks, window, total } = match chunks(manifest, image.len) {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let step = fetcher.progress.begin("downloading the base image", Some(total));
    let quiet = Quiet(fetcher.progress);
    // cancelled, too, when nobody wants the rest
    let cancel = fetcher.cancel.child();
    let fetcher = Fetcher { cancel: cancel.clone(), ..fetcher.telling(&quiet) };
    // as many as there can be at once, and used again: they are the most of what all this takes
    let pool = BufferPool::new(window as usize, PARALLEL + WAITING);
    let loader = Loader { name: &image.name, blobs: repository.pieces(&fetcher)?, pool, step: &*step };
    let (loader, fetcher) = (&loader, &fetcher);
    let base = thread::scope(|scope| {
        let (start, begun) = bounded::<()>(1);
        let (to_image, pieces) = bounded(WAITING);
        let (to_workers, jobs) = bounded(0);
        for _ in 0..PARALLEL {
            let jobs = jobs.clone();
            scope.spawn(move || loader.work(&jobs));
        }
        // where all of them have ended, nobody takes a job any more
        drop(jobs);
        let all = &chunks;
        scope.spawn(move || hand_out(all, window, image.len, &begun, &to_image, &to_workers));
        let mut source = RawImage {
            name: &image.name,
            cancel: &fetcher.cancel,
            start: Some(start),
            pieces,
            left: chunks.iter().map(|chunk| chunk.offset).collect(),
            current: None,
            at: 0,
            len: image.len,
        };
        let base = fetcher.cache.assemble(image, &mut source, options, fetcher.progress, observer);
        cancel.cancel();
        base
    })?;
    step.finish();
    // what they hold is in the image now
    for layer in &manifest.layers {
        let _ = std::fs::remove_file(fetcher.cache.file(&layer.digest));
    }
    Ok(Ok(base))
}

/// A chunk that is to be fetched, how many bytes of the image it has, and who waits for these.
struct Job {
    chunk: Chunk,
    len: u64,
    to: Sender<Piece>,
}

/// The bytes of the image that a chunk has.
struct Unpacked {
    buffer: PooledBuf,
    len: usize,
}

impl Unpacked {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

type Piece = Result<Unpacked, base::Error>;

/// Hands the chunks out in their order, once somebody wants the first. Whoever reads the image gets the places at which
/// they arrive, in the same order, so that it does not matter which one is there first.
fn hand_out(
    chunks: &[Chunk],
    window: u64,
    len: u64,
    begun: &Receiver<()>,
    to_image: &Sender<Receiver<Piece>>,
    to_workers: &Sender<Job>,
) {
    if begun.recv().is_err() {
        return;
    }
    for chunk in chunks {
        let (to, piece) = bounded(1);
        let job = Job { chunk: chunk.clone(), len: window.min(len - chunk.offset), to };
        if to_image.send(piece).is_err() || to_workers.send(job).is_err() {
            return;
        }
    }
}

/// Fetches chunks and unpacks them.
struct Loader<'a> {
    name: &'a str,
    blobs: Blobs<'a>,
    pool: BufferPool,
    step: &'a dyn Step,
}

impl Loader<'_> {
    fn work(&self, jobs: &Receiver<Job>) {
        for Job { chunk, len, to } in jobs {
            let piece = self.load(&chunk, len);
            let is_good = piece.is_ok();
            // who does not wait any more has met another fault
            if to.send(piece).is_err() || !is_good {
                return;
            }
        }
    }

    fn load(&self, chunk: &Chunk, expected: u64) -> Piece {
        let blob = chunk.blob.blob();
        let packed = self.blobs.read(&blob).map_err(|fault| match fault {
            oci::Error::Base(fault) => fault,
            other => base::Error::Io {
                doing: "downloading the base image".to_owned(),
                source: std::io::Error::other(other),
            },
        })?;
        self.step.advance(blob.len);
        let mut buffer = self.pool.take();
        let place = buffer.get_mut(..expected as usize).unwrap_or_default();
        let unpacked = unpack_into(&packed, place).and_then(|len| match len as u64 {
            whole if whole == expected => Ok(Unpacked { buffer, len }),
            other => Err(format!("a part of it has {other} bytes instead of {expected}")),
        });
        unpacked.map_err(|fault| base::Error::Decode {
            name: self.name.to_owned(),
            source: DecodeError::Corrupt(fault, chunk.offset),
        })
    }
}

/// The raw image, from its first byte to its last.
struct RawImage<'a> {
    name: &'a str,
    cancel: &'a CancelToken,
    /// Says that the first chunk is wanted.
    start: Option<Sender<()>>,
    pieces: Receiver<Receiver<Piece>>,
    /// Where those begin that were not read yet.
    left: VecDeque<u64>,
    /// Where the chunk begins that is read now, and its bytes.
    current: Option<(u64, Unpacked)>,
    at: u64,
    len: u64,
}

impl RawImage<'_> {
    /// What the chunk that is read now has from here on.
    fn here(&self) -> &[u8] {
        let Some((offset, unpacked)) = &self.current else { return &[] };
        self.at
            .checked_sub(*offset)
            .and_then(|from| unpacked.bytes().get(from as usize..))
            .unwrap_or_default()
    }

    /// Waits for the next chunk.
    fn load(&mut self) -> Result<(), base::Error> {
        let lost = || base::Error::Worker { name: self.name.to_owned() };
        self.cancel.check()?;
        if let Some(start) = self.start.take() {
            start.send(()).map_err(|_| lost())?;
        }
        // nobody needs its buffer any more
        self.current = None;
        let piece = self.pieces.recv().map_err(|_| lost())?;
        let unpacked = piece.recv().map_err(|_| lost())??;
        self.current = Some((self.left.pop_front().ok_or_else(lost)?, unpacked));
        Ok(())
    }
}

impl Source for RawImage<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        if self.at >= self.len || buf.is_empty() {
            return Ok(0);
        }
        // what no chunk has is zero
        let zeros_until = self.left.front().copied().unwrap_or(self.len);
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
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::format::{BASE, notes};

    fn manifest(offsets: &[u64], window: u64) -> Manifest {
        let blob = |at: &u64| Descriptor::of(CHUNK, b"x", notes([(note::OFFSET, at.to_string())]));
        let about = notes([(note::CHUNK_LENGTH, window.to_string())]);
        Manifest::new(BASE, offsets.iter().map(blob).collect(), about)
    }

    #[test]
    fn chunks_stand_in_their_order_and_each_in_its_place() {
        let found = chunks(&manifest(&[0, 20, 30], 10), 31).unwrap();
        assert_eq!((found.chunks.len(), found.window, found.total), (3, 10, 3));
        assert!(is_whole(&manifest(&[0, 20, 30], 10), 31) && !is_whole(&manifest(&[0, 20, 30], 10), 30));
        for (offsets, window, len) in
            [(&[0, 0][..], 10, 30), (&[20, 10], 10, 30), (&[5], 10, 30), (&[30], 10, 30), (&[0], 0, 30)]
        {
            assert!(chunks(&manifest(offsets, window), len).is_err(), "{offsets:?} {window} {len}");
        }
        assert!(chunks(&Manifest::new(BASE, Vec::new(), notes([])), 30).is_err());
    }

    /// Reads the image that chunks at `offsets` have the bytes of, each its offset; `work` is what a worker does.
    fn read(offsets: &[u64], len: u64, work: impl Fn(Job) + Sync) -> Result<Vec<u8>, String> {
        let Chunked { chunks, window, .. } = chunks(&manifest(offsets, 10), len).unwrap();
        let cancel = CancelToken::default();
        thread::scope(|scope| {
            let (start, begun) = bounded(1);
            let (to_image, pieces) = bounded(WAITING);
            let (to_workers, jobs) = bounded(0);
            for _ in 0..PARALLEL {
                let (jobs, work) = (jobs.clone(), &work);
                scope.spawn(move || jobs.into_iter().for_each(work));
            }
            drop(jobs);
            let all = &chunks;
            scope.spawn(move || hand_out(all, window, len, &begun, &to_image, &to_workers));
            let left = offsets.iter().copied().collect();
            let start = Some(start);
            let mut image =
                RawImage { name: "x", cancel: &cancel, start, pieces, left, current: None, at: 0, len };
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

    fn unpacked(content: &[u8]) -> Unpacked {
        let mut buffer = BufferPool::new(content.len(), 0).take();
        buffer.copy_from_slice(content);
        Unpacked { buffer, len: content.len() }
    }

    #[test]
    fn an_image_is_read_in_order_whichever_chunk_is_there_first() {
        let offsets: Vec<u64> = [0, 10].into_iter().chain((3..20).map(|n| n * 10)).collect();
        let content = |at: u64, len: u64| vec![u8::try_from(at).unwrap() + 1; len as usize];
        let mut expected = vec![0; 205];
        for at in &offsets {
            expected[*at as usize..*at as usize + 10].copy_from_slice(&content(*at, 10));
        }
        let slower_at_first = |Job { chunk, len, to }: Job| {
            thread::sleep(std::time::Duration::from_millis(4 - chunk.offset / 10 % 4));
            to.send(Ok(unpacked(&content(chunk.offset, len)))).unwrap_or_default();
        };
        assert_eq!(read(&offsets, 205, slower_at_first).unwrap(), expected);
        // the last one is shorter
        let found = read(&[20], 25, |Job { chunk, len, to }| {
            to.send(Ok(unpacked(&content(chunk.offset, len)))).unwrap_or_default();
        });
        assert_eq!(found.unwrap(), [vec![0; 20], content(20, 5)].concat());
    }

    #[test]
    fn a_chunk_that_fails_ends_the_image_and_nobody_waits_for_the_others() {
        let lost = || base::Error::Worker { name: "the third".to_owned() };
        let third_fails = |Job { chunk, len, to }: Job| {
            let piece = if chunk.offset == 20 { Err(lost()) } else { Ok(unpacked(&vec![1; len as usize])) };
            let _ = to.send(piece);
        };
        let offsets: Vec<u64> = (0..40).map(|n| n * 10).collect();
        assert_eq!(read(&offsets, 400, third_fails).unwrap_err(), lost().to_string());
        // one that ends without a word
        let third_is_lost = |Job { chunk, len, to }: Job| {
            if chunk.offset != 20 {
                let _ = to.send(Ok(unpacked(&vec![1; len as usize])));
            }
        };
        let fault = base::Error::Worker { name: "x".to_owned() }.to_string();
        assert_eq!(read(&offsets, 400, third_is_lost).unwrap_err(), fault);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// What is taken for the chunks of an image lies in it, in order, and each of them can be read whole.
        #[test]
        fn no_manifest_is_too_odd(
            layers in proptest::collection::vec((0..6_u64, any::<u64>(), 0..3_u8), 0..6),
            window in prop_oneof![0..40_u64, any::<u64>()],
            len in prop_oneof![0..200_u64, any::<u64>()],
        ) {
            let offsets: Vec<u64> =
                layers.iter().map(|(at, odd, kind)| if *kind == 0 { *odd } else { at * 10 }).collect();
            let mut manifest = manifest(&offsets, window);
            for (layer, (_, odd, kind)) in manifest.layers.iter_mut().zip(&layers) {
                layer.size = if *kind == 1 { *odd } else { odd % 20 };
            }
            if let Ok(found) = chunks(&manifest, len) {
                prop_assert!(found.window > 0 && found.window <= LARGEST_WINDOW);
                prop_assert!(found.chunks.iter().all(|chunk| chunk.offset < len));
                prop_assert!(found.chunks.windows(2).all(|pair| pair[0].offset < pair[1].offset));
                prop_assert!(found.chunks.iter().all(|chunk| chunk.blob.size <= 2 * LARGEST_WINDOW));
            }
        }
    }

    #[test]
    fn a_chunk_is_not_larger_than_what_it_unpacks_to() {
        let sized = |sizes: [u64; 2]| {
            let mut manifest = manifest(&[0, 10], 10);
            for (layer, size) in manifest.layers.iter_mut().zip(sizes) {
                layer.size = size;
            }
            chunks(&manifest, 20).map(|found| found.total)
        };
        assert_eq!(sized([packed_most(10), 5]).unwrap(), packed_most(10) + 5);
        for sizes in [[packed_most(10) + 1, 5], [5, u64::MAX], [u64::MAX, u64::MAX]] {
            assert!(sized(sizes).unwrap_err().contains("should have"), "{sizes:?}");
        }
        // at the very end of what numbers can say
        let last = u64::MAX - u64::MAX % 10;
        assert!(is_whole(&manifest(&[0, last], 10), u64::MAX));
    }
}
