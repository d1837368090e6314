//! A file being written, past the page cache where that is possible.
//!
//! A direct write hands the pipeline's own buffer to the disk. Through the page cache the same
//! bytes are copied once more for every image, and wait there for a sync at the end; on a machine
//! with two cores that costs more than the compression of the base.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::aligned::is_aligned;
use super::temp::Temp;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direct {
    Off,
    On,
    Unsupported,
}

/// A temporary file that can be written at any offset.
pub(super) struct Output {
    temp: Temp,
    direct: Direct,
}

impl Output {
    /// Writes to `temp`.
    pub fn new(temp: Temp) -> Self {
        Self { temp, direct: Direct::Off }
    }

    /// The open file.
    pub fn file(&self) -> &File {
        self.temp.file()
    }

    /// What the file is going to be called.
    pub fn target(&self) -> &Path {
        self.temp.target()
    }

    /// Writes `bytes`, directly if they are aligned and the file system takes that.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !is_aligned(offset, bytes) || !self.switch(true)? {
            return self.write_cached(offset, bytes);
        }
        match self.file().write_all_at(bytes, offset) {
            // Accepted when the file was opened and refused now, as some network file systems do;
            // also what follows a short write at the end of the disk's room.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                self.switch(false)?;
                self.direct = Direct::Unsupported;
                self.write_cached(offset, bytes)
            }
            done => done,
        }
    }

    /// Writes `bytes` through the page cache: what is small or not aligned.
    pub fn write_cached(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.switch(false)?;
        self.file().write_all_at(bytes, offset)
    }

    /// Puts the file under its final name, durably.
    pub fn keep(self) -> io::Result<File> {
        self.temp.keep()
    }

    /// Whether writes are direct afterwards.
    fn switch(&mut self, on: bool) -> io::Result<bool> {
        let wanted = if on { Direct::On } else { Direct::Off };
        if self.direct != wanted && self.direct != Direct::Unsupported {
            match set_direct(self.file(), on) {
                Ok(()) => self.direct = wanted,
                Err(_) if on => self.direct = Direct::Unsupported,
                Err(e) => return Err(e),
            }
        }
        Ok(self.direct == Direct::On)
    }
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, on: bool) -> io::Result<()> {
    use rustix::fs::OFlags;
    let mut flags = rustix::fs::fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_file: &File, _on: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::super::aligned::Aligned;
    use super::*;

    #[test]
    fn direct_and_cached_writes_make_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::new(Temp::new(dir.path(), "node-1.img").unwrap());
        let mut expected = vec![0; 40_000];
        let mut aligned = Aligned::zeroed(8192);
        aligned.fill(7);
        for (offset, bytes) in [(4096, &aligned[..]), (20_000, &aligned[..100]), (24_576, &aligned[..4096])] {
            output.write(offset, bytes).unwrap();
            expected[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        }
        output.write_cached(39_999, &[9]).unwrap();
        expected[39_999] = 9;
        output.keep().unwrap();
        assert_eq!(std::fs::read(dir.path().join("node-1.img")).unwrap(), expected);
    }
}
