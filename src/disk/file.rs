//! A file or a drive of this machine as a block device.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{BlockDevice, check_range};

/// An open file or drive. Positioned reads and writes, so that threads can share it.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    len: u64,
    writable: bool,
}

impl FileDevice {
    /// Opens `path` for reading alone.
    ///
    /// # Errors
    /// What opening it or asking for its length answers.
    pub fn open_read_only(path: &Path) -> io::Result<Self> {
        Self::from_file(File::open(path)?, false)
    }

    /// Opens `path`, which must exist, for reading and writing.
    ///
    /// # Errors
    /// What opening it or asking for its length answers.
    pub fn open_read_write(path: &Path) -> io::Result<Self> {
        Self::from_file(OpenOptions::new().read(true).write(true).open(path)?, true)
    }

    fn from_file(mut file: File, writable: bool) -> io::Result<Self> {
        // a drive's metadata says 0; its end is found in the same way as a file's
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len, writable })
    }

    /// The file beneath.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl BlockDevice for FileDevice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len())?;
        self.file.read_exact_at(buf, offset)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        check_range(self.len, offset, buf.len())?;
        self.file.write_all_at(buf, offset)
    }
}
