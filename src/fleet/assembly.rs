//! The base of a fleet, put together from chunks that are fetched and unpacked meanwhile.

use super::chunks::{WINDOW, packed_most, unpack_into};
use super::error::Result;
use super::format::{CHUNK, Descriptor, Manifest, note};
use super::raw_image::{AT_ONCE, Parts, Piece, Unpacked};
use crate::base::{self, Base, DecodeError, Fetcher, ImageObserver, Options, Promised};
use crate::io::pool::BufferPool;
use crate::oci::{self, Blobs, Repository};
use crate::progress::{Quiet, Step};

/// No chunk has more bytes of an image: those that are under way are all in memory.
const LARGEST_WINDOW: u64 = WINDOW;

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
    let pool = BufferPool::new(window as usize, AT_ONCE);
    let loader = Loader { name: &image.name, blobs: repository.pieces(&fetcher)?, pool, step: &*step };
    let place = |chunk: &Chunk| chunk.offset..image.len.min(chunk.offset.saturating_add(window));
    let parts = Parts {
        name: &image.name,
        len: image.len,
        places: chunks.iter().map(place).collect(),
        cancel: &cancel,
    };
    let load = |at: usize, len: usize| match chunks.get(at) {
        Some(chunk) => loader.load(chunk, len),
        None => Err(parts.lost()),
    };
    let base = parts.read_by(&load, |source| {
        let base = fetcher.cache.assemble(image, source, options, fetcher.progress, observer);
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

/// Fetches chunks and unpacks them.
struct Loader<'a> {
    name: &'a str,
    blobs: Blobs<'a>,
    pool: BufferPool,
    step: &'a dyn Step,
}

impl Loader<'_> {
    fn load(&self, chunk: &Chunk, expected: usize) -> Piece {
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
        let place = buffer.get_mut(..expected).unwrap_or_default();
        let unpacked = unpack_into(&packed, place).and_then(|len| match len {
            whole if whole == expected => Ok(Unpacked { buffer, len }),
            other => Err(format!("a part of it has {other} bytes instead of {expected}")),
        });
        unpacked.map_err(|fault| base::Error::Decode {
            name: self.name.to_owned(),
            source: DecodeError::Corrupt(fault, chunk.offset),
        })
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
