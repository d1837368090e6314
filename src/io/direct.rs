//! Writing to a file past the page cache where that is possible.
//!
//! A direct write hands the writer's own buffer to the disk. Through the page cache the same
//! bytes are copied once more, for every file, and wait there for a sync at the end; on a machine
//! with two cores that costs more than the compression of the base.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::aligned::is_aligned;

/// How a file is written at the moment. The file is given with each write, and is always the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Direct {
    /// Through the page cache, for now.
    #[default]
    Off,
    /// Past it.
    On,
    /// Through it, for good: the file system knows nothing else.
    Unsupported,
}

impl Direct {
    /// Writes `bytes`, directly if they are aligned and the file system takes that.
    pub(crate) fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !is_aligned(offset, bytes) || !self.switch(file, true)? {
            return self.write_cached(file, offset, bytes);
        }
        match file.write_all_at(bytes, offset) {
            // Accepted when the file was opened and refused now, as some network file systems do;
            // also what follows a short write at the end of the disk's room.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                self.switch(file, false)?;
                *self = Self::Unsupported;
                self.write_cached(file, offset, bytes)
            }
            done => done,
        }
    }

    /// Writes `bytes` through the page cache: what is small or not aligned.
    pub(crate) fn write_cached(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.switch(file, false)?;
        file.write_all_at(bytes, offset)
    }

    /// Whether writes are direct afterwards.
    fn switch(&mut self, file: &File, on: bool) -> io::Result<bool> {
        let wanted = if on { Self::On } else { Self::Off };
        if *self != wanted && *self != Self::Unsupported {
            match set_direct(file, on) {
                Ok(()) => *self = wanted,
                Err(_) if on => *self = Self::Unsupported,
                Err(e) => return Err(e),
            }
        }
        Ok(*self == Self::On)
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
    use super::super::aligned::AlignedBuf;
    use super::*;

    #[test]
    fn direct_and_cached_writes_make_one_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut direct = Direct::default();
        let mut expected = vec![0; 40_000];
        let mut aligned = AlignedBuf::zeroed(8192);
        aligned.fill(7);
        for (offset, bytes) in [(4096, &aligned[..]), (20_000, &aligned[..100]), (24_576, &aligned[..4096])] {
            direct.write(file.as_file(), offset, bytes).unwrap();
            expected[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        }
        direct.write_cached(file.as_file(), 39_999, &[9]).unwrap();
        expected[39_999] = 9;
        assert_eq!(std::fs::read(file.path()).unwrap(), expected);
    }
}
