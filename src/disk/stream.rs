//! A block device as a stream with a position, for the libraries that want one.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{ReadAt, WriteAt};

/// Reads and writes a device from a current position on.
#[derive(Debug)]
pub struct Stream<D> {
    device: D,
    position: u64,
}

impl<D: ReadAt> Stream<D> {
    /// A stream at the first byte of `device`.
    pub fn new(device: D) -> Self {
        Self { device, position: 0 }
    }

    /// How many of `len` bytes there are from the position on.
    fn available(&self, len: usize) -> usize {
        self.device.len().saturating_sub(self.position).min(len as u64) as usize
    }
}

impl<D: ReadAt> Read for Stream<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.available(buf.len());
        self.device.read_at(self.position, &mut buf[..n])?;
        self.position += n as u64;
        Ok(n)
    }
}

impl<D: WriteAt> Write for Stream<D> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.available(buf.len());
        self.device.write_at(self.position, &buf[..n])?;
        self.position += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<D: ReadAt> Seek for Stream<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.device.len().checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
