//! Whether the images fit, asked before the first of them is begun.

use std::path::Path;

use super::source::Source;
use super::{Error, Format};
use crate::io::free_space;

/// Tables and rounding of one image, at the most.
const SLACK: u64 = 1 << 20;
/// Pieces of the base that are compressed to see how well it compresses, and their size.
const SAMPLES: u64 = 16;
const SAMPLE: u64 = 1 << 20;

/// Refuses to write `images` images of `source` that do not fit into `dir`. Each has `patch` bytes
/// of its own. An image that is going to be replaced gives no room: it stays until the new one is
/// whole.
pub(super) fn check(
    dir: &Path,
    source: &Source,
    format: Format,
    images: usize,
    patch: u64,
    cloned: bool,
) -> Result<(), Error> {
    let free = free_space(dir).map_err(|source| Error::Folder { path: dir.to_owned(), source })?;
    let needed = |data: u64| (data + patch + SLACK).saturating_mul(images as u64);
    let refuse = |needed| Error::NoRoom { path: dir.to_owned(), images, needed, free };
    if images == 0 || needed(if cloned { 0 } else { source.data().total() }) <= free {
        return Ok(());
    }
    if cloned {
        return Err(refuse(needed(0)));
    }
    // Looks more closely, for zeros that the base holds as data are not written.
    let data = match format {
        Format::Raw | Format::Qcow2 => occupied(source)?,
        // An estimate, on the low side: it must not refuse what would fit. Filling the disk after
        // all ends the build as any other failed write does. xz packs about a third better than
        // the quick compression of the samples.
        Format::Zst => (occupied(source)? as f64 * sampled_ratio(source)? * 0.8) as u64,
        Format::Xz => (occupied(source)? as f64 * sampled_ratio(source)? * 0.5) as u64,
    };
    if needed(data) <= free { Ok(()) } else { Err(refuse(needed(data))) }
}

/// How many bytes of `source` lie in grains that are not all zero.
fn occupied(source: &Source) -> Result<u64, Error> {
    source.chunks().map(|chunk| Ok(chunk?.extents().map(|(_, bytes)| bytes.len() as u64).sum::<u64>())).sum()
}

/// Compressed size by size of pieces spread evenly over the base's data.
fn sampled_ratio(source: &Source) -> Result<f64, Error> {
    let (mut taken, mut packed) = (0_u64, 0_u64);
    let mut buffer = vec![0; SAMPLE as usize];
    for range in source.data().samples(SAMPLES, SAMPLE) {
        let piece = &mut buffer[..(range.end - range.start) as usize];
        source.read(range.start, piece).map_err(|e| source.fault(e))?;
        if let Ok(compressed) = zstd::bulk::compress(piece, 1) {
            taken += piece.len() as u64;
            packed += compressed.len() as u64;
        }
    }
    Ok(if taken == 0 { 0.0 } else { packed as f64 / taken as f64 })
}
