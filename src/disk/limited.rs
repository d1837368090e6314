//! A device that ends what would never end.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ReadAt, WriteAt};

/// A device that allows a number of transfers and then fails each. File system code that damaged
/// metadata sends in circles comes to an end with it.
#[derive(Debug)]
pub struct Limited<D> {
    device: D,
    left: AtomicU64,
}

impl<D: ReadAt> Limited<D> {
    /// `device`, for `transfers` reads and writes in all.
    pub fn new(device: D, transfers: u64) -> Self {
        Self { device, left: AtomicU64::new(transfers) }
    }

    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the transfers are used up.
    fn count(&self) -> io::Result<()> {
        let spend = |left: u64| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "its metadata leads in circles")),
        }
    }
}

impl<D: ReadAt> ReadAt for Limited<D> {
    fn len(&self) -> u64 {
        self.device.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.count()?;
        self.device.read_at(offset, buf)
    }
}

impl<D: WriteAt> WriteAt for Limited<D> {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.count()?;
        self.device.write_at(offset, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDevice;
    use super::*;

    #[test]
    fn it_ends() {
        let device = Limited::new(MemoryDevice::new(vec![0; 8]), 2);
        device.write_at(0, &[1]).unwrap();
        device.read_at(0, &mut [0]).unwrap();
        for _ in 0..2 {
            let error = device.read_at(0, &mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
