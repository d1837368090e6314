//! Where an overlay keeps its blocks: in memory or, where they are too many for that, in a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Granularity of an [`Overlay`](super::Overlay) in bytes: the block size of ext4 on Ubuntu's images and a page of
/// the host, so that a changed block is one write.
pub const OVERLAY_BLOCK: usize = 4096;

pub(super) type Block = Arc<[u8; OVERLAY_BLOCK]>;

/// A changed block.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// Its bytes.
    Memory(Block),
    /// The file that has it, and where in it.
    File(Arc<File>, u64),
}

/// The same bytes in memory, or the same place of the same file.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(one), Self::Memory(other)) => one == other,
            (Self::File(one, at), Self::File(other, there)) => Arc::ptr_eq(one, other) && at == there,
            _ => false,
        }
    }
}

impl Eq for Kept {}

impl Kept {
    /// Fills `buf` with the bytes from `within` on. It may reach into the blocks that follow where these follow in
    /// the file, too.
    pub(super) fn read(&self, within: usize, buf: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(block) => {
                buf.copy_from_slice(&block[within..within + buf.len()]);
                Ok(())
            }
            Self::File(file, at) => file.read_exact_at(buf, at + within as u64),
        }
    }

    /// Whether `next` lies behind this one in the same file, `blocks` further on.
    pub(super) fn leads_to(&self, next: &Self, blocks: u64) -> bool {
        match (self, next) {
            (Self::File(one, at), Self::File(other, there)) => {
                Arc::ptr_eq(one, other) && at + blocks * OVERLAY_BLOCK as u64 == *there
            }
            _ => false,
        }
    }
}

/// The file of an overlay that keeps its blocks in one.
#[derive(Debug)]
pub(super) struct Spill {
    file: Arc<File>,
    /// Where the next block goes.
    end: u64,
}

impl Spill {
    pub(super) fn new(file: File) -> Self {
        Self { file: Arc::new(file), end: 0 }
    }

    /// Keeps whole blocks that follow each other.
    pub(super) fn append(&mut self, blocks: &[u8]) -> io::Result<impl Iterator<Item = Kept>> {
        self.file.write_all_at(blocks, self.end)?;
        let (first, file) = (self.end, Arc::clone(&self.file));
        self.end += blocks.len() as u64;
        Ok((first..self.end).step_by(OVERLAY_BLOCK).map(move |at| Kept::File(Arc::clone(&file), at)))
    }
}
