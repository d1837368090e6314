//! A file being written, past the page cache where that is possible.

use std::fs::File;
use std::io;

use crate::io::{AtomicFile, Direct};

/// A temporary file that can be written at any offset.
pub(super) struct Output {
    temp: AtomicFile,
    direct: Direct,
}

impl Output {
    /// Writes to `temp`.
    pub(super) fn new(temp: AtomicFile) -> Self {
        Self { temp, direct: Direct::default() }
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        self.temp.file()
    }

    /// Writes `bytes`, directly if they are aligned and the file system takes that.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.direct.write(self.temp.file(), offset, bytes)
    }

    /// Writes `bytes` through the page cache: what is small or not aligned.
    pub(super) fn write_cached(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.direct.write_cached(self.temp.file(), offset, bytes)
    }

    /// Puts the file under its final name, durably.
    pub(super) fn keep(self) -> io::Result<File> {
        self.temp.keep()
    }
}
