//! Files of the cache, verified while they are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::folder::Cache;
use crate::base::Digest;
use crate::catalog::Hasher;

/// A file of the cache that is read to its end. What does not have its digest ends in an error of kind
/// [`io::ErrorKind::InvalidData`]; what was read of it until then must not be used.
pub struct Stored {
    file: File,
    path: PathBuf,
    digest: Digest,
    hasher: Hasher,
    left: u64,
    is_done: bool,
}

impl Cache {
    /// Opens the file that has this digest, and `len` bytes.
    ///
    /// # Errors
    /// What the system answers.
    pub fn read_file(&self, digest: &Digest, len: u64) -> io::Result<Stored> {
        let path = self.file(digest);
        let file =
            File::open(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        Ok(Stored { file, path, digest: *digest, hasher: Hasher::default(), left: len, is_done: false })
    }
}

impl Read for Stored {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.is_done || buf.is_empty() {
            return Ok(0);
        }
        let count = self.file.read(buf)?;
        self.hasher.update(buf.get(..count).unwrap_or_default());
        let left = self.left.checked_sub(count as u64);
        if count == 0 {
            self.is_done = true;
        }
        match left {
            Some(left) if count > 0 => self.left = left,
            Some(0) if std::mem::take(&mut self.hasher).finish() == self.digest => {}
            _ => {
                let (path, digest) = (self.path.display(), self.digest);
                let text = format!(
                    "{path} is not what was put there (sha256:{digest}): remove it, and run this again"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_what_it_should_be_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let content = b"x".repeat(10_000);
        let digest = Digest::of(&content);
        let read = |on_disk: &[u8], len| {
            std::fs::write(cache.file(&digest), on_disk).unwrap();
            let mut read = Vec::new();
            cache.read_file(&digest, len)?.read_to_end(&mut read).map(|_| read)
        };
        assert_eq!(read(&content, 10_000).unwrap(), content);
        let wrong = [&content[..9_999], &[&content[..], b"x"].concat(), &b"y".repeat(10_000), b""];
        for (on_disk, len) in wrong.map(|bytes| (bytes, 10_000)).into_iter().chain([(&content[..], 9_999)]) {
            assert_eq!(read(on_disk, len).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        std::fs::remove_file(cache.file(&digest)).unwrap();
        assert_eq!(cache.read_file(&digest, 1).err().unwrap().kind(), io::ErrorKind::NotFound);
    }
}
