//! Block devices: what file systems are read from and written to, whatever lies beneath.

mod cached;
mod extended;
mod file;
#[cfg(target_os = "linux")]
pub mod ioctl;
mod kept;
mod limited;
#[cfg(test)]
mod mock;
mod overlay;
mod qcow2;
mod ranges;
mod stream;
mod table;
mod window;

pub use cached::Cached;
pub use extended::Extended;
pub use file::FileDevice;
pub use kept::OVERLAY_BLOCK;
pub use limited::Limited;
#[cfg(test)]
pub(crate) use mock::MemoryDevice;
pub use overlay::{Overlay, Patch, Patched};
pub use qcow2::Qcow2;
pub use ranges::Ranges;
pub(crate) use ranges::cut;
pub use stream::Stream;
pub use table::{
    DiskId, Kind, Partition, PartitionId, SECTOR, Scheme, TableError, enlarge, identify, partition_id,
    partitions,
};
pub use window::Window;

use std::io;
use std::ops::Deref;

/// A fixed number of bytes that can be read at any offset.
///
/// Reads and writes are exact: either all of `buf` is transferred or an error is returned. A
/// range that reaches past [`ReadAt::len`] is an error of kind
/// [`io::ErrorKind::UnexpectedEof`] and transfers nothing.
pub trait ReadAt: Send + Sync {
    /// Size in bytes.
    fn len(&self) -> u64;

    /// Whether there is not a single byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// What the device answers.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// The same where the bytes can be replaced, too. A base, a cache and a verifier are not: what must
/// not be written cannot be.
pub trait WriteAt: ReadAt {
    /// Replaces the bytes from `offset` on by `buf`.
    ///
    /// # Errors
    /// What the device answers.
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()>;
}

/// Refuses a transfer that would reach past the end.
fn check_range(len: u64, offset: u64, count: u64) -> io::Result<()> {
    match offset.checked_add(count) {
        Some(end) if end <= len => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{count} bytes at offset {offset} reach past the end of a device of {len} bytes"),
        )),
    }
}

/// Whatever leads to a device is one: a reference, an [`Arc`](std::sync::Arc).
impl<P: Deref<Target: ReadAt> + Send + Sync> ReadAt for P {
    fn len(&self) -> u64 {
        (**self).len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buf)
    }
}

impl<P: Deref<Target: WriteAt> + Send + Sync> WriteAt for P {
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, buf)
    }
}
