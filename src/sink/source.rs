//! The base as a sink reads it: a file with holes, read once, in order.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::io::chunk::GRAIN;
use crate::io::extents;

/// The base's raw file.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    len: u64,
    data: Vec<Range<u64>>,
}

impl Source {
    /// Opens the base and asks the file system where its holes are.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let fault = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(fault)?;
        let len = file.metadata().map_err(fault)?.len();
        let data = data_ranges(&file, len).map_err(fault)?;
        // Read-ahead is advice: a file system that takes none reads all the same.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        Ok(Self { file, path: path.to_owned(), len, data })
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Size in bytes, holes included.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where data may be: ascending ranges that begin at multiples of [`GRAIN`] and end at one or
    /// at the end, with at least one grain between two of them.
    pub(super) fn data(&self) -> &[Range<u64>] {
        &self.data
    }

    /// How many bytes the ranges of [`Source::data`] hold.
    pub(super) fn data_bytes(&self) -> u64 {
        self.data.iter().map(|range| range.end - range.start).sum()
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.read_raw(offset, buffer).map_err(|source| Error::Read { path: self.path.clone(), source })
    }

    /// As [`Source::read`], with the system's own error.
    pub(super) fn read_raw(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

fn data_ranges(file: &File, len: u64) -> io::Result<Vec<Range<u64>>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while at < len {
        let Some(start) = extents::next_data(file, at)? else { break };
        let end = extents::next_hole(file, start, len)?;
        // A file that shrinks or changes under our feet must not make this loop endless.
        if start >= end {
            break;
        }
        let grains = start - start % GRAIN..end.next_multiple_of(GRAIN).min(len);
        match ranges.last_mut() {
            Some(last) if grains.start <= last.end => last.end = grains.end,
            _ => ranges.push(grains),
        }
        at = end;
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_whole_grains_and_cover_all_data() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let len = 100 * GRAIN + 700;
        file.as_file().set_len(len).unwrap();
        for at in [5 * GRAIN - 1, 40 * GRAIN + 9000, len - 1] {
            file.as_file().write_all_at(b"x", at).unwrap();
        }
        let source = Source::open(file.path()).unwrap();
        assert_eq!(source.len(), len);
        for at in [5 * GRAIN - 1, 40 * GRAIN + 9000, len - 1] {
            assert!(source.data().iter().any(|range| range.contains(&at)), "{at} in {:?}", source.data());
        }
        for pair in source.data().windows(2) {
            assert!(pair[0].end < pair[1].start);
        }
        assert!(source.data().iter().all(|r| r.start % GRAIN == 0 && (r.end % GRAIN == 0 || r.end == len)));
        assert!(source.data_bytes() <= 6 * GRAIN, "holes were lost: {:?}", source.data());
    }
}
