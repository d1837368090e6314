//! How large an image becomes, and with it the root file system in it.

use std::sync::Arc;

use super::error::Error;
use crate::disk::{self, Extended, Overlay, ReadAt, WriteAt};
use crate::fs::ext4::{self, Superblock};
use crate::fs::layout::{self, Layout};
use crate::recipe::Volume;

/// How large an image is to become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the image. Without a number it has those of the base, or as many more as `free` takes.
    pub image: Option<u64>,
    /// Bytes that its root file system must have free before the recipe's changes are made.
    pub free: u64,
}

/// How large an image is, and what it has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the image.
    pub image: u64,
    /// Bytes that its root file system has free before the recipe's changes are made.
    pub free: u64,
}

/// Where the image is made longer by itself, it becomes so by whole pieces of this many bytes.
const PIECE: u64 = 16 << 20;

/// An image of the right size that nothing was baked into yet.
pub(super) struct Blank {
    pub(super) overlay: Arc<Overlay<Extended<Arc<dyn ReadAt>>>>,
    pub(super) layout: Layout,
    /// Bytes of the root file system.
    pub(super) root_len: u64,
    pub(super) room: Room,
}

impl Blank {
    /// `base`, made as large as `size` says.
    pub(super) fn new(base: &Arc<dyn ReadAt>, size: Size) -> Result<Self, Error> {
        match size.image {
            Some(image) if image < base.len() => Err(Error::Smaller { image, base: base.len() }),
            Some(image) => {
                let made = Self::grown(base, image)?;
                match made.room.free < size.free {
                    true => Err(Error::NoRoom { image, free: made.room.free, needed: size.free }),
                    false => Ok(made),
                }
            }
            None => {
                let mut made = Self::begun(base, base.len())?;
                while made.room.free < size.free {
                    // tables take some of what is added: an inode table mostly a 64th
                    let lack = size.free - made.room.free;
                    let more = lack.saturating_add(lack / 32).checked_next_multiple_of(PIECE);
                    let len = more.and_then(|more| more.checked_add(made.room.image)).unwrap_or(u64::MAX);
                    let (before, Room { image, free }) = (made.layout.root.len, made.room);
                    made = Self::grown(base, len)?;
                    // the numbers of a table end, too
                    if made.layout.root.len == before {
                        return Err(Error::NoRoom { image, free, needed: size.free });
                    }
                }
                Ok(made)
            }
        }
    }

    /// The base followed by zeros, `len` bytes in all.
    fn begun(base: &Arc<dyn ReadAt>, len: u64) -> Result<Self, Error> {
        let overlay = Arc::new(Overlay::new(Extended::new(Arc::clone(base), len)));
        let device: Arc<dyn ReadAt> = Arc::clone(&overlay) as _;
        let (_, partitions) = disk::partitions(&device)?;
        let layout = layout::find(&device, &partitions).map_err(Error::Layout)?;
        let found = layout.root.open(&overlay).and_then(|root| Superblock::read(&root)).map_err(on_root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.block_size);
        let room = Room { image: overlay.len(), free: bytes(found.free_blocks) };
        Ok(Self { overlay, layout, root_len: bytes(found.blocks), room })
    }

    /// The same, with the root partition and its file system reaching to the end.
    fn grown(base: &Arc<dyn ReadAt>, len: u64) -> Result<Self, Error> {
        let mut made = Self::begun(base, len)?;
        let device: Arc<dyn WriteAt> = Arc::clone(&made.overlay) as _;
        made.layout.root = disk::enlarge(&device, made.layout.root.number)
            .map_err(|source| Error::Enlarging { image: len, source })?;
        let root = made.layout.root.open(device).map_err(on_root)?;
        let grown = ext4::grow(&root, made.layout.root.len).map_err(on_root)?;
        (made.root_len, made.room.free) = (grown.after, grown.free);
        Ok(made)
    }
}

fn on_root(source: crate::fs::Error) -> Error {
    Error::FileSystem { volume: Volume::Root, source }
}
