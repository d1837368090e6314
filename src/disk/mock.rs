//! A block device in memory.

use std::io;
use std::sync::{PoisonError, RwLock};

use super::{ReadAt, WriteAt, check_range};

/// Bytes in memory as a block device.
#[derive(Debug)]
pub(crate) struct MemoryDevice {
    bytes: RwLock<Vec<u8>>,
}

impl MemoryDevice {
    /// A device with this content.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: RwLock::new(bytes) }
    }
}

/// The part of `bytes` that starts at `offset`; the range has been checked.
fn range(offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok(start..start + len)
}

impl ReadAt for MemoryDevice {
    fn len(&self) -> u64 {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        check_range(bytes.len() as u64, offset, buf.len() as u64)?;
        buf.copy_from_slice(&bytes[range(offset, buf.len())?]);
        Ok(())
    }
}

impl WriteAt for MemoryDevice {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        check_range(bytes.len() as u64, offset, buf.len() as u64)?;
        bytes[range(offset, buf.len())?].copy_from_slice(buf);
        Ok(())
    }
}
