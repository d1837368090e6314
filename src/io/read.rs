//! Reading to an end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::human_bytes;

/// Reads a file (or a pipe, as `<(…)` of a shell is one) of at most `limit` bytes.
///
/// # Errors
/// What the system answers; [`io::ErrorKind::FileTooLarge`] for one that is larger, which may be one
/// that has no end, such as `/dev/zero`.
pub fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("it is larger than {}, the most that is read of it", human_bytes(limit));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Reads until `buffer` is full or there is no more; how many bytes that were.
///
/// # Errors
/// What `reader` answers, but for an interruption by a signal.
pub(crate) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time, each after an interruption.
    struct Slow(Vec<u8>, bool);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match self.1 {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => Ok(self.0.pop().map_or(0, |byte| {
                    buf[0] = byte;
                    1
                })),
            }
        }
    }

    #[test]
    fn a_buffer_is_filled_up_to_the_end() {
        let mut slow = Slow(vec![3, 2, 1], false);
        let mut buffer = [0; 2];
        assert_eq!((fill(&mut slow, &mut buffer).unwrap(), buffer), (2, [1, 2]));
        assert_eq!((fill(&mut slow, &mut buffer).unwrap(), buffer), (1, [3, 2]));
        assert_eq!(fill(&mut slow, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 2048]).unwrap();
        assert_eq!(read_small(file.path(), 2048).unwrap().len(), 2048);
        for (path, limit) in [(file.path(), 2047), (Path::new("/dev/zero"), 4096)] {
            let error = read_small(path, limit).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        file.as_file().set_len(40 << 30).unwrap();
        assert!(read_small(file.path(), 1 << 20).is_err());
    }
}
