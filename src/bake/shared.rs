//! What several nodes have before their own changes: files that are too large for memory, laid into the image once.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use super::check::{self, Expected};
use super::editor::{ImageEditor, cached, catching};
use super::error::Error;
use super::large_file::LargeFile;
use super::size::{Blank, Size};
use crate::disk::{Overlay, Patch, Patched, ReadAt};
use crate::fs::fat::Clock;
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
    /// Lays `files` into `base` over what is `below`, made as large as `size` says, and reads them back. What changes
    /// is kept in `store`, which is empty and nobody else's.
    ///
    /// # Errors
    /// [`Error`]; [`Error::NoRoom`] before anything is written.
    pub fn lay(
        base: Arc<dyn ReadAt>,
        below: &Self,
        size: Size,
        files: &[LargeFile<'_>],
        store: File,
        clock: &'static Clock,
    ) -> Result<Self, Error> {
        catching(|| {
            let base = cached(base);
            let lower = below.over(&base);
            let Blank { overlay, layout, .. } = Blank::new(&lower, size)?;
            // what a larger file system takes is little, and stays in memory
            let grown = overlay.freeze().map_err(Error::Read)?;
            let lower: Arc<dyn ReadAt> = Arc::new(Patched::new(lower, grown.clone()));
            let bytes = files.iter().map(|file| file.len).fold(0, u64::saturating_add);
            let overlay = Arc::new(Overlay::spilling(lower, store));
            let mut editor = ImageEditor::open(&overlay, &layout, bytes, clock)?;
            for file in files {
                editor.lay(file)?;
            }
            let expected = editor.finish()?;
            let patch = overlay.freeze().map_err(Error::Read)?;
            let patch = below.below(&patch.over(&grown));
            let image: Arc<dyn ReadAt> = Arc::new(Patched::new(base, patch.clone()));
            check::check(&image, &layout, expected.iter(), clock.seconds())?;
            check::check_contents(&image, &layout, &expected)?;
            let all = below.expected.iter().map(|(place, what)| (place.clone(), what.clone()));
            let expected = all.chain(expected).collect();
            Ok(Self { patch, expected: Arc::new(expected) })
        })
    }

    /// What changes over the base.
    #[must_use]
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// `base` with this over it.
    pub(super) fn over(&self, base: &Arc<dyn ReadAt>) -> Arc<dyn ReadAt> {
        match self.changes_nothing() {
            true => Arc::clone(base),
            false => Arc::new(Patched::new(Arc::clone(base), self.patch.clone())),
        }
    }

    /// A patch of the base with this over it, as one of the base alone.
    pub(super) fn below(&self, patch: &Patch) -> Patch {
        if self.changes_nothing() { patch.clone() } else { patch.over(&self.patch) }
    }

    /// It may have no file, and yet be larger than the base.
    fn changes_nothing(&self) -> bool {
        self.patch == Patch::default()
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
