//! The base of a fleet, as the raw bytes of an image in their order: from chunks that are fetched meanwhile.

use std::collections::VecDeque;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::chunks::unpack;
use super::error::Result;
use super::format::{CHUNK, Descriptor, Manifest, note};
use crate::base::{self, Base, DecodeError, Fetcher, ImageObserver, Options, Promised, Source, Stop};
use crate::oci::Repository;
use crate::progress::{Quiet, Step};

/// So many chunks are fetched at once, and so many more may wait to be unpacked.
const BATCH: usize = 4;
const BATCHES_WAITING: usize = 2;
/// No chunk has more bytes of an image.
const LARGEST_WINDOW: u64 = 256 << 20;

/// Where a chunk begins in the image, and its blob.
#[derive(Debug, Clone)]
struct Chunk {
    offset: u64,
    blob: Descriptor,
}

/// The chunks of a base, and how many bytes of the image each has. `Err` says what is wrong with them.
fn chunks(manifest: &Manifest, len: u64) -> Result<(Vec<Chunk>, u64), String> {
    let window = manifest.note(note::CHUNK_LENGTH).and_then(|text| text.parse().ok());
    let window: u64 = window.ok_or("it does not say how long its chunks are")?;
    if window == 0 || window > LARGEST_WINDOW {
        return Err(format!("its chunks have {window} bytes"));
    }
    let mut next = 0;
    let chunk = |blob: &Descriptor| {
        let offset: Option<u64> = blob.note(note::OFFSET).and_then(|text| text.parse().ok());
        let fitting = |offset: &u64| blob.media_type == CHUNK && offset.is_multiple_of(window);
        let offset = offset.filter(fitting).filter(|offset| (next..len).contains(offset));
        let offset = offset.ok_or_else(|| format!("the chunk sha256:{} is out of place", blob.digest))?;
        next = offset + window;
        Ok(Chunk { offset, blob: blob.clone() })
    };
    Ok((manifest.layers.iter().map(chunk).collect::<Result<_, String>>()?, window))
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
    let (chunks, window) = match chunks(manifest, image.len) {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let total = chunks.iter().map(|chunk| chunk.blob.size).sum();
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
            cache: fetcher,
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
        let fetched = repository.fetch_by(fetcher, "downloading a part of the base image", &blobs);
        let is_good = fetched.is_ok();
        step.advance(blobs.iter().map(|blob| blob.len).sum());
        let fetched = fetched.map(|()| batch.to_vec()).map_err(|fault| match fault {
            crate::oci::Error::Base(fault) => fault,
            other => base::Error::Io {
                doing: "downloading the base image".to_owned(),
                source: std::io::Error::other(other),
            },
        });
        if to.send(fetched).is_err() || !is_good {
            return;
        }
    }
}

/// The raw image.
struct Chunks<'a> {
    name: String,
    /// Says that the first batch is wanted.
    go: Option<Sender<()>>,
    batches: Receiver<Result<Vec<Chunk>, base::Error>>,
    fetched: VecDeque<Chunk>,
    cache: &'a Fetcher<'a>,
    /// Those that were not read yet.
    left: VecDeque<Chunk>,
    window: u64,
    /// Where the chunk begins that is read now, and its bytes.
    current: (u64, Vec<u8>),
    at: u64,
    len: u64,
}

impl Chunks<'_> {
    /// Unpacks the next chunk.
    fn load(&mut self) -> Result<(), base::Error> {
        let lost = || base::Error::Worker { name: self.name.clone() };
        if let Some(go) = self.go.take() {
            go.send(()).map_err(|_| lost())?;
        }
        while self.fetched.is_empty() {
            self.cache.cancel.check()?;
            self.fetched.extend(self.batches.recv().map_err(|_| lost())??);
        }
        let Some(chunk) = self.fetched.pop_front() else { return Err(lost()) };
        self.left.pop_front();
        let packed = self.cache.cache.content(&chunk.blob.digest, chunk.blob.size).ok_or_else(lost)?;
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
    use super::*;
    use crate::fleet::format::{BASE, notes};

    fn manifest(offsets: &[u64], window: u64) -> Manifest {
        let blob = |at: &u64| Descriptor::of(CHUNK, b"x", notes([(note::OFFSET, at.to_string())]));
        let about = notes([(note::CHUNK_LENGTH, window.to_string())]);
        Manifest::new(BASE, offsets.iter().map(blob).collect(), about)
    }

    #[test]
    fn chunks_stand_in_their_order_and_each_in_its_place() {
        let (found, window) = chunks(&manifest(&[0, 20, 30], 10), 31).unwrap();
        assert_eq!((found.len(), window), (3, 10));
        for (offsets, window, len) in
            [(&[0, 0][..], 10, 30), (&[20, 10], 10, 30), (&[5], 10, 30), (&[30], 10, 30), (&[0], 0, 30)]
        {
            assert!(chunks(&manifest(offsets, window), len).is_err(), "{offsets:?} {window} {len}");
        }
        assert!(chunks(&Manifest::new(BASE, Vec::new(), notes([])), 30).is_err());
    }
}
