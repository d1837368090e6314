//! A file or a drive of this machine as a block device.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{ReadAt, check_range};

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
}

impl ReadAt for FileDevice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len())?;
        self.file.read_exact_at(buf, offset)
    }
}
