//! A byte range of a block device: a partition, for whoever must see nothing else.

use std::io;

use super::{ReadAt, WriteAt, check_range};

/// The bytes `offset..offset + len` of `device`, as a device of their own. Nothing outside can be
/// read or written through it.
#[derive(Debug)]
pub struct Window<D> {
    device: D,
    offset: u64,
    len: u64,
}

impl<D: ReadAt> Window<D> {
    /// A window of `len` bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if it would reach past the end of `device`.
    pub fn new(device: D, offset: u64, len: u64) -> io::Result<Self> {
        check_range(device.len(), offset, len)?;
        Ok(Self { device, offset, len })
    }
}

impl<D: ReadAt> ReadAt for Window<D> {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        self.device.read_at(self.offset + offset, buf)
    }
}

impl<D: WriteAt> WriteAt for Window<D> {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        self.device.write_at(self.offset + offset, buf)
    }
}
