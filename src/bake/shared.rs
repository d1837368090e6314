//! What several nodes have before their own changes: files that are too large for memory, laid into the image once.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use super::check::{self, Expected};
use super::editor::{ImageEditor, cached, catching};
use super::error::Error;
use super::large_file::LargeFile;
use crate::disk::{self, Overlay, Patch, Patched, ReadAt};
use crate::fs::ext4::Superblock;
use crate::fs::fat::Clock;
use crate::fs::layout;
use crate::image_path::ImagePath;
use crate::recipe::{Action, Change, Volume};

/// What several nodes have over a base before their own changes. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    patch: Patch,
    expected: Arc<BTreeMap<(Volume, ImagePath), Expected>>,
}

/// Bytes that stay free for what a node's own recipe adds, and its first start.
const SPARE: u64 = 16 << 20;
/// Of so many bytes of a file one is needed for what says where they are: an extent takes 12 bytes, and covers a
/// megabyte even in a file system whose free space lies in pieces.
const PER_EXTENT: u64 = 1 << 16;

/// Bytes that must be free in a root file system with blocks of `block` bytes for these files and a node's own.
#[must_use]
pub fn needed(lens: impl Iterator<Item = u64>, block: u64) -> u64 {
    // a file takes an inode, which is there, and an entry in a directory, which is in the spare bytes
    let file =
        |len: u64| len.next_multiple_of(block).saturating_add((len / PER_EXTENT).next_multiple_of(block));
    lens.fold(SPARE, |sum, len| sum.saturating_add(file(len)))
}

impl Shared {
    /// Lays `files` into `base` over what is `below`, and reads them back. What changes is kept in `store`, which is
    /// empty and nobody else's.
    ///
    /// # Errors
    /// [`Error`]; [`Error::NoRoom`] before anything is written.
    pub fn lay(
        base: Arc<dyn ReadAt>,
        below: &Self,
        files: &[LargeFile<'_>],
        store: File,
        clock: &'static Clock,
    ) -> Result<Self, Error> {
        catching(|| {
            let base = cached(base);
            let lower = below.over(&base);
            check_room(&lower, files)?;
            let bytes = files.iter().map(|file| file.len).fold(0, u64::saturating_add);
            let overlay = Overlay::spilling(lower, store);
            let (overlay, layout, mut editor) = ImageEditor::edit(overlay, bytes, clock)?;
            for file in files {
                editor.lay(file)?;
            }
            let expected = editor.finish()?;
            let patch = below.below(&overlay.freeze().map_err(Error::Read)?);
            let image: Arc<dyn ReadAt> = Arc::new(Patched::new(base, patch.clone()));
            check::check(&image, &layout, expected.iter(), clock.seconds())?;
            check::check_contents(&image, &layout, &expected)?;
            let all = below.expected.iter().map(|(place, what)| (place.clone(), what.clone()));
            let expected = all.chain(expected).collect();
            Ok(Self { patch, expected: Arc::new(expected) })
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// `base` with this over it.
    pub(super) fn over(&self, base: &Arc<dyn ReadAt>) -> Arc<dyn ReadAt> {
        match self.is_empty() {
            true => Arc::clone(base),
            false => Arc::new(Patched::new(Arc::clone(base), self.patch.clone())),
        }
    }

    /// A patch of the base with this over it, as one of the base alone.
    pub(super) fn below(&self, patch: &Patch) -> Patch {
        if self.is_empty() { patch.clone() } else { patch.over(&self.patch) }
    }

    /// Whether it has the file that `change` would make.
    pub(super) fn has(&self, change: &Change) -> bool {
        let is_file = !matches!(change.action, Action::Directory { .. });
        is_file && self.expected.contains_key(&(change.volume, change.path.clone()))
    }

    pub(super) fn expected(&self) -> Arc<BTreeMap<(Volume, ImagePath), Expected>> {
        Arc::clone(&self.expected)
    }
}

/// Bytes that the root file system of `image` has free.
///
/// # Errors
/// [`Error`], where the image is none of a Raspberry Pi.
pub fn free(image: &Arc<dyn ReadAt>) -> Result<u64, Error> {
    let root = root(image)?;
    Ok(root.free_blocks.saturating_mul(root.block_size))
}

fn root(image: &Arc<dyn ReadAt>) -> Result<Superblock, Error> {
    let on_root = |source| Error::FileSystem { volume: Volume::Root, source };
    let (_, partitions) = disk::partitions(image)?;
    let layout = layout::find(image, &partitions).map_err(Error::Layout)?;
    layout.root.open(Arc::clone(image)).and_then(|root| Superblock::read(&root)).map_err(on_root)
}

/// Refuses files that the root file system of `image` has no room for.
fn check_room(image: &Arc<dyn ReadAt>, files: &[LargeFile<'_>]) -> Result<(), Error> {
    let (free, root) = (free(image)?, root(image)?);
    let needed = needed(files.iter().map(|file| file.len), root.block_size);
    if free < needed { Err(Error::NoRoom { free, needed }) } else { Ok(()) }
}
