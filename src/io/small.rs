//! Files that are read whole.

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

#[cfg(test)]
mod tests {
    use super::*;

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
