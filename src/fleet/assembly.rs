//! The base of a fleet, as the raw bytes of an image in their order: from chunks that are fetched meanwhile.

use std::collections::VecDeque;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::chunks::{packed_most, unpack};
use super::error::Result;
use super::format::{CHUNK, Descriptor, Manifest, note};
use crate::base::{self, Base, DecodeError, Fetcher, ImageObserver, Options, Promised, Source, Stop};
use crate::oci::{self, Blob, Repository};
use crate::progress::{Quiet, Step};

/// So many chunks are fetched at once, and so many more may wait to be unpacked.
const BATCH: usize = 4;
const BATCHES_WAITING: usize = 2;
/// So often a chunk is fetched again that another run has taken away.
const MOST_AGAIN: u32 = 5;
/// No chunk has more bytes of an image.
const LARGEST_WINDOW: u64 = 256 << 20;

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
    let assembled = thread::scope(|scope| {
        let (go, gate) = bounded::<()>(1);
        let (to_source, batches) = bounded(BATCHES_WAITING);
        let all = chunks.clone();
        let (fetcher, step) = (&fetcher, &*step);
        scope.spawn(move || fetch(repository, fetcher, &all, &gate, &to_source, step));
        let mut source = Chunks {
            name: image.name.clone(),
            go: Some(go),
            batches,
            fetched: VecDeque::new(),
            repository,
            fetcher,
            left: chunks.into(),
            window,
            current: (0, Vec::new()),
            at: 0,
            len: image.len,
        };
        let base = fetcher.cache.assemble(image, &mut source, options, fetcher.progress, observer);
        cancel.cancel();
        base
    });
    let base = assembled?;
    step.finish();
    // what they hold is in the image now
    for layer in &manifest.layers {
        let _ = std::fs::remove_file(fetcher.cache.file(&layer.digest));
    }
    Ok(Ok(base))
}

/// Fetches one batch after the other, once somebody wants the first.
fn fetch(
    repository: &Repository<'_>,
    fetcher: &Fetcher<'_>,
    chunks: &[Chunk],
    gate: &Receiver<()>,
    to: &Sender<Result<Vec<Chunk>, base::Error>>,
    step: &dyn Step,
) {
    if gate.recv().is_err() {
        return;
    }
    for batch in chunks.chunks(BATCH) {
        let blobs: Vec<_> = batch.iter().map(|chunk| chunk.blob.blob()).collect();
        let fetched = get(repository, fetcher, &blobs);
        let is_good = fetched.is_ok();
        step.advance(blobs.iter().map(|blob| blob.len).sum());
        let fetched = fetched.map(|()| batch.to_vec());
        if to.send(fetched).is_err() || !is_good {
            return;
        }
    }
}

/// Gets chunks into the cache.
fn get(repository: &Repository<'_>, fetcher: &Fetcher<'_>, blobs: &[Blob]) -> Result<(), base::Error> {
    let fetched = repository.fetch_by(fetcher, "downloading a part of the base image", blobs);
    fetched.map_err(|fault| match fault {
        oci::Error::Base(fault) => fault,
        other => base::Error::Io {
            doing: "downloading the base image".to_owned(),
            source: std::io::Error::other(other),
        },
    })
}

/// The raw image.
struct Chunks<'a> {
    name: String,
    /// Says that the first batch is wanted.
    go: Option<Sender<()>>,
    batches: Receiver<Result<Vec<Chunk>, base::Error>>,
    fetched: VecDeque<Chunk>,
    repository: &'a Repository<'a>,
    fetcher: &'a Fetcher<'a>,
    /// Those that were not read yet.
    left: VecDeque<Chunk>,
    window: u64,
    /// Where the chunk begins that is read now, and its bytes.
    current: (u64, Vec<u8>),
    at: u64,
    len: u64,
}

impl Chunks<'_> {
    /// A chunk as it was fetched; fetched again where another run, which makes another image that has it, too, has taken
    /// it out of the cache meanwhile.
    fn packed(&self, blob: &Blob) -> Result<Vec<u8>, base::Error> {
        for _ in 0..MOST_AGAIN {
            if let Some(bytes) = self.fetcher.cache.content(&blob.digest, blob.len) {
                return Ok(bytes);
            }
            get(self.repository, self.fetcher, std::slice::from_ref(blob))?;
        }
        Err(base::Error::Worker { name: self.name.clone() })
    }

    /// Unpacks the next chunk.
    fn load(&mut self) -> Result<(), base::Error> {
        let lost = || base::Error::Worker { name: self.name.clone() };
        if let Some(go) = self.go.take() {
            go.send(()).map_err(|_| lost())?;
        }
        while self.fetched.is_empty() {
            self.fetcher.cancel.check()?;
            self.fetched.extend(self.batches.recv().map_err(|_| lost())??);
        }
        let Some(chunk) = self.fetched.pop_front() else { return Err(lost()) };
        self.left.pop_front();
        let packed = self.packed(&chunk.blob.blob())?;
        let expected = self.window.min(self.len - chunk.offset);
        let bytes = unpack(&packed, expected).and_then(|bytes| match bytes.len() as u64 {
            len if len == expected => Ok(bytes),
            len => Err(format!("a part of it has {len} bytes instead of {expected}")),
        });
        let corrupt = |fault| base::Error::Decode {
            name: self.name.clone(),
            source: DecodeError::Corrupt(fault, chunk.offset),
        };
        self.current = (chunk.offset, bytes.map_err(corrupt)?);
        Ok(())
    }
}

impl Source for Chunks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        if self.at >= self.len || buf.is_empty() {
            return Ok(0);
        }
        // what no chunk has is zero
        let zeros_until = self.left.front().map_or(self.len, |chunk| chunk.offset);
        let is_here = |(offset, bytes): &(u64, Vec<u8>), at: u64| at - offset.min(&at) < bytes.len() as u64;
        if !is_here(&self.current, self.at) && zeros_until == self.at {
            self.load()?;
        }
        let (offset, bytes) = &self.current;
        let count = if is_here(&self.current, self.at) {
            let from = (self.at - offset) as usize;
            let here = bytes.get(from..).unwrap_or_default();
            let count = here.len().min(buf.len());
            buf[..count].copy_from_slice(&here[..count]);
            count
        } else {
            let count = (zeros_until - self.at).min(buf.len() as u64) as usize;
            buf[..count].fill(0);
            count
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
