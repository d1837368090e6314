//! A file or a drive of this machine as a block device.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Ranges, ReadAt, check_range};
use crate::io::chunk::{CHUNK, Chunk, GRAIN};
use crate::io::extents;
use crate::io::pool::BufferPool;

/// How many buffers of chunks that nobody uses any more are kept to be used again: as many as wait to be written
/// by those who read a whole image.
const BUFFERS_KEPT: usize = 10;

/// A file or drive that is open for reading alone. Positioned reads, so that threads can share it.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    len: u64,
}

impl FileDevice {
    /// Opens `path`.
    ///
    /// # Errors
    /// What opening it or asking for its length answers.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        // a drive's metadata says 0; its end is found in the same way as a file's
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len })
    }

    /// The file beneath.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it may hold anything but zeros, as its file system tells: ranges that begin at multiples of
    /// [`GRAIN`] and end at one or at the end of the file.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn data(&self) -> io::Result<Ranges> {
        let mut data = Ranges::new();
        let mut at = 0;
        while let Some(found) = extents::next_data(&self.file, at, self.len)? {
            data.insert(found.start - found.start % GRAIN..found.end.next_multiple_of(GRAIN).min(self.len));
            at = found.end;
        }
        Ok(data)
    }

    /// All chunks with bytes of `data` in them, which are read as they are asked for.
    pub(crate) fn chunks(&self, data: &Ranges) -> impl Iterator<Item = io::Result<Chunk>> {
        let pool = BufferPool::new(CHUNK, BUFFERS_KEPT);
        windows(data).map(move |(offset, filled)| {
            let mut buffer = pool.take();
            for range in &filled {
                self.file.read_exact_at(&mut buffer[range.clone()], offset + range.start as u64)?;
            }
            Ok(Chunk::new(offset, buffer, &filled))
        })
    }
}

/// The windows of [`CHUNK`] bytes that have bytes of `data` in them: the offset of each, and where in it.
fn windows(data: &Ranges) -> impl Iterator<Item = (u64, Vec<Range<usize>>)> {
    let end = data.iter().last().map_or(0, |range| range.end);
    let cut = move |offset: u64| {
        let here = data.within(offset..offset + CHUNK as u64);
        (offset, here.map(|r| (r.start - offset) as usize..(r.end - offset) as usize).collect::<Vec<_>>())
    };
    (0..end).step_by(CHUNK).map(cut).filter(|(_, filled)| !filled.is_empty())
}

impl ReadAt for FileDevice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        self.file.read_exact_at(buf, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_in_whole_grains_and_all_of_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let len = 100 * GRAIN + 700;
        file.as_file().set_len(len).unwrap();
        for at in [5 * GRAIN - 1, 40 * GRAIN + 9000, len - 1] {
            file.as_file().write_all_at(b"x", at).unwrap();
        }
        let device = FileDevice::open(file.path()).unwrap();
        assert_eq!(device.len(), len);
        let data = device.data().unwrap();
        for at in [5 * GRAIN - 1, 40 * GRAIN + 9000, len - 1] {
            assert!(data.iter().any(|range| range.contains(&at)), "{at} in {data:?}");
        }
        assert!(data.iter().all(|r| r.start % GRAIN == 0 && (r.end % GRAIN == 0 || r.end == len)));
        assert!(data.total() <= 6 * GRAIN, "holes were lost: {data:?}");
    }

    #[test]
    fn windows_hold_every_range_once() {
        const C: u64 = CHUNK as u64;
        let data = [0..GRAIN, 2 * GRAIN..3 * C + GRAIN, 5 * C - GRAIN..5 * C, 7 * C..7 * C + 10];
        let data = Ranges::from_iter(data);
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
