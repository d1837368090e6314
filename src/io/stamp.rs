//! What tells at a glance whether a file is still the same.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file's size, times and place. Equal stamps mean equal content, unless somebody sets out to
/// deceive: every write moves the time of change, which no program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) len: u64,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|m| Self::from(&m))
    }

    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|m| Self::from(&m))
    }

    /// Whether the file was last changed long enough before `now` (seconds since 1970) that a later
    /// change cannot bear the same time: file systems' clocks tick in steps of up to a second.
    pub(crate) fn is_settled(&self, now: i64) -> bool {
        self.changed.0.saturating_add(2) <= now
    }
}

impl From<&Metadata> for Stamp {
    fn from(m: &Metadata) -> Self {
        Self {
            len: m.len(),
            device: m.dev(),
            inode: m.ino(),
            modified: (m.mtime(), m.mtime_nsec()),
            changed: (m.ctime(), m.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_keeps_size_and_time_of_modification_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"one").unwrap();
        let before = Stamp::at(file.path()).unwrap();
        assert_eq!(before, Stamp::of(file.as_file()).unwrap());
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        // one tick of the kernel's coarse clock is at most 10 ms
        std::thread::sleep(std::time::Duration::from_millis(25));
        std::fs::write(file.path(), b"two").unwrap();
        file.as_file().set_modified(modified).unwrap();
        let after = Stamp::at(file.path()).unwrap();
        assert_eq!((before.len, before.modified), (after.len, after.modified));
        assert_ne!(before, after);
        assert!(!after.is_settled(after.changed.0) && after.is_settled(after.changed.0 + 2));
    }
}
