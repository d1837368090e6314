//! The drive that is written: opened for this process alone, past the kernel's cache where it can be.

use std::io;
use std::ops::Range;

/// A card as the writer sees it. Offsets and lengths are multiples of [`Card::sector`].
pub trait Card: Send + Sync {
    /// Size in bytes.
    fn len(&self) -> u64;

    /// Whether there is no card.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in the smallest unit that can be transferred.
    fn sector(&self) -> u64;

    /// Replaces the bytes from `offset` on.
    ///
    /// # Errors
    /// What the drive answers, as for all that follow.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all bytes of `range` zero.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;

    /// Reads what is on the card: never what a cache remembers of it.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Returns when all that was written is on the card.
    fn sync(&self) -> io::Result<()>;

    /// Tells the card that none of its content is needed; false where it knows no such thing.
    fn discard(&self) -> io::Result<bool>;

    /// Whether it was not pulled out meanwhile. What a drive answers that is gone depends on who is
    /// asked: no space left, the end of the file, an input or output error.
    fn is_there(&self) -> bool;
}

#[cfg(target_os = "linux")]
pub use linux::DriveCard;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::ops::Range;
    use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;
    use std::sync::LazyLock;

    use rustix::fs::{Advice, FallocateFlags, OFlags, SeekFrom};
    use rustix::io::Errno;

    use super::Card;
    use crate::disk::cut;
    use crate::io::{AlignedBuf, is_aligned};

    /// Zeros are written in pieces of this many bytes, where the kernel does not do it itself.
    const PIECE: usize = 1 << 20;

    static ZEROS: LazyLock<AlignedBuf> = LazyLock::new(|| AlignedBuf::zeroed(PIECE));

    /// A drive of this machine, held exclusively until it is dropped.
    pub struct DriveCard {
        file: File,
        direct: bool,
        len: u64,
        sector: u64,
    }

    impl DriveCard {
        /// Opens the drive at `path`, whose device number must be `(major, minor)`. The kernel
        /// refuses if anybody else holds it, or anything on it (`O_EXCL`, open(2)); that is asked
        /// once. Never makes a file.
        ///
        /// # Errors
        /// What opening answers; [`io::ErrorKind::ResourceBusy`] where it is held.
        pub fn open(path: &Path, number: (u32, u32), sector: u32) -> io::Result<Self> {
            let open = |flags: OFlags| {
                let flags = (OFlags::EXCL | flags).bits().cast_signed();
                OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
            };
            // a driver that knows no direct transfers says so before it looks who holds the drive
            let (file, direct) = match open(OFlags::DIRECT) {
                Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    (open(OFlags::empty())?, false)
                }
                other => (other?, true),
            };
            Self::held(file, direct, number, sector)
        }

        /// The same of a drive that somebody else opened for this process alone, for reading and writing.
        ///
        /// # Errors
        /// What the drive answers.
        pub fn opened(file: File, number: (u32, u32), sector: u32) -> io::Result<Self> {
            let flags = rustix::fs::fcntl_getfl(&file)? | OFlags::DIRECT;
            let direct = match rustix::fs::fcntl_setfl(&file, flags) {
                Ok(()) => true,
                Err(Errno::INVAL) => false,
                Err(e) => return Err(e.into()),
            };
            Self::held(file, direct, number, sector)
        }

        fn held(file: File, direct: bool, number: (u32, u32), sector: u32) -> io::Result<Self> {
            let found = file.metadata()?;
            let there = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
            if !found.file_type().is_block_device() || there != number {
                return Err(io::Error::other("it is another drive now than a moment ago"));
            }
            let len = size(&file)?;
            Ok(Self { file, direct, len, sector: u64::from(sector.max(512)) })
        }

        /// The open drive.
        #[must_use]
        pub fn file(&self) -> &File {
            &self.file
        }
    }

    impl Card for DriveCard {
        fn len(&self) -> u64 {
            self.len
        }

        fn sector(&self) -> u64 {
            self.sector
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            if !self.direct || is_aligned(offset, bytes) {
                return self.file.write_all_at(bytes, offset);
            }
            let mut copy = AlignedBuf::zeroed(bytes.len());
            copy.copy_from_slice(bytes);
            self.file.write_all_at(&copy, offset)
        }

        fn zero(&self, range: Range<u64>) -> io::Result<()> {
            // The kernel asks the drive to do it, and where that cannot, writes zeros itself.
            let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
            match rustix::fs::fallocate(&self.file, flags, range.start, range.end - range.start) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NODEV | Errno::NOSYS) => {}
                Err(e) => return Err(e.into()),
            }
            cut(range, PIECE as u64).try_for_each(|piece| {
                self.file.write_all_at(&ZEROS[..(piece.end - piece.start) as usize], piece.start)
            })
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            if self.direct && !is_aligned(offset, buffer) {
                let mut copy = AlignedBuf::zeroed(buffer.len());
                self.file.read_exact_at(&mut copy, offset)?;
                buffer.copy_from_slice(&copy);
                return Ok(());
            }
            if !self.direct {
                // what was synced is clean, and can be dropped
                let len = std::num::NonZeroU64::new(buffer.len() as u64);
                rustix::fs::fadvise(&self.file, offset, len, Advice::DontNeed)?;
            }
            self.file.read_exact_at(buffer, offset)
        }

        fn sync(&self) -> io::Result<()> {
            self.file.sync_data()
        }

        fn discard(&self) -> io::Result<bool> {
            match crate::disk::ioctl::discard(&self.file, 0..self.len) {
                Ok(()) => Ok(true),
                Err(e) if e.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => Ok(false),
                Err(e) => Err(e),
            }
        }

        fn is_there(&self) -> bool {
            // the kernel gives a drive that is gone the size 0
            size(&self.file).is_ok_and(|len| len == self.len)
        }
    }

    fn size(drive: &File) -> io::Result<u64> {
        Ok(rustix::fs::seek(drive, SeekFrom::End(0))?)
    }
}
