//! A device with zeros behind its end: an image that is to become longer than its base.

use std::io;

use super::{ReadAt, check_range};

/// `device`, followed by zeros.
#[derive(Debug)]
pub struct Extended<D> {
    device: D,
    len: u64,
}

impl<D: ReadAt> Extended<D> {
    /// `device`, made at least `len` bytes long.
    pub fn new(device: D, len: u64) -> Self {
        let len = len.max(device.len());
        Self { device, len }
    }
}

impl<D: ReadAt> ReadAt for Extended<D> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        let there = self.device.len().saturating_sub(offset).min(buf.len() as u64) as usize;
        let (content, zeros) = buf.split_at_mut(there);
        zeros.fill(0);
        if content.is_empty() { Ok(()) } else { self.device.read_at(offset, content) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDevice;
    use super::*;

    #[test]
    fn what_is_behind_the_end_is_zero() {
        let device = Extended::new(MemoryDevice::new((1..=10).collect()), 16);
        for (from, len, seen) in [
            (0, 16, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0, 0][..]),
            (8, 4, &[9, 10, 0, 0]),
            (2, 3, &[3, 4, 5]),
            (10, 6, &[0; 6]),
            (12, 2, &[0; 2]),
            (16, 0, &[]),
        ] {
            let mut buf = vec![7; len];
            device.read_at(from, &mut buf).unwrap();
            assert_eq!(buf, seen, "{len} bytes at {from}");
        }
        let error = device.read_at(15, &mut [0; 2]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(Extended::new(MemoryDevice::new(vec![0; 10]), 4).len(), 10);
    }
}
