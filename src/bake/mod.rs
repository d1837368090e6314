//! A recipe applied to a base: the one place that knows both halves of the house.

mod access;
mod check;
mod command_line;
mod compare;
mod diff;
mod editor;
mod error;
mod kernel_line;
mod kernel_modules;
mod large_file;
mod links;
mod own_disk;
mod remains;
mod shared;
mod size;
mod text;
mod written;

pub use check::SHARED_MODE;
pub use compare::{Comparison, Finding, Known};
pub use diff::{Card, Difference, Differs, diff};
pub use error::{Error, Mismatch, Used};
pub use large_file::LargeFile;
pub use own_disk::OwnDisk;
pub use remains::Preparation;
pub use shared::{Shared, needed};
pub use size::{Room, Size};
pub use written::Written;

use std::collections::BTreeMap;
use std::sync::Arc;

use check::Expected;
use editor::{ImageEditor, cached, catching};
use size::Blank;

use crate::disk::{self, DiskId, Patch, Patched, ReadAt, WriteAt};
pub use crate::fs::fat::Clock;
use crate::fs::layout::Layout;
use crate::image_path::ImagePath;
use crate::recipe::{Action, Change, Recipe, Volume};

/// Applies `recipe` over `base` with what nodes `share`, made as large as `size` says, and reads back every path that it
/// names, through other readers. A file that is shared stays where the recipe has one at the same path. `clock` gives
/// the time of every change.
///
/// Gives what changes over `base`, and what must be true of whatever the patched image is copied to: a pure function of
/// the arguments.
///
/// # Errors
/// [`Error`]; [`Error::ReadBack`] is a failed verification, all others come before anything is used.
pub fn bake(
    base: Arc<dyn ReadAt>,
    shared: &Shared,
    recipe: &Recipe,
    size: Size,
    clock: &'static Clock,
) -> Result<(Patch, Proof), Error> {
    catching(|| {
        let base = cached(base);
        let Blank { overlay, layout, root_len, .. } = Blank::new(&shared.over(&base), size)?;
        disk::identify(&(Arc::clone(&overlay) as Arc<dyn WriteAt>), DiskId::new(recipe.disk_id))?;
        let own = OwnDisk::of(&overlay, &layout)?;
        let mut editor = ImageEditor::open(&overlay, &layout, 0, clock)?;
        check::check_readable(&(Arc::clone(&overlay) as Arc<dyn ReadAt>), &layout, recipe)?;
        kernel_line::check_board(editor.boot.as_ref(), recipe)?;
        kernel_modules::check(editor.root.as_ref(), recipe)?;
        let before = match shared.is_empty() {
            true => remains::preparations(editor.boot.as_ref(), editor.root.as_ref(), recipe)?,
            // what is shared is no remainder
            false => preparations(Arc::clone(&base), recipe)?,
        };
        // last: which file the firmware reads is said by another one, which may have been changed as well
        let is_arguments = |change: &&Change| matches!(change.action, Action::KernelArguments { .. });
        let changes = recipe.changes.iter().filter(|change| !shared.has(change));
        let (arguments, others): (Vec<_>, Vec<_>) = changes.partition(is_arguments);
        for change in before.iter().map(|preparation| &preparation.change).chain(others) {
            editor.apply(change, &own)?;
        }
        for change in arguments {
            editor.set_arguments(change, recipe.board, &own)?;
        }
        let expected = editor.finish()?;
        let patch = shared.below(&overlay.freeze().map_err(Error::Read)?);
        let now = clock.seconds();
        let proof = Proof { layout, own, root_len, shared: shared.expected(), expected, now };
        proof.check(&(Arc::new(Patched::new(base, patch.clone())) as Arc<dyn ReadAt>))?;
        Ok((patch, proof))
    })
}

/// What is done to `base` before the changes of `recipe`, because it was in use. Nothing is written.
///
/// # Errors
/// [`Error`]; [`Error::Used`] for a base that nothing is baked on.
pub fn preparations(base: Arc<dyn ReadAt>, recipe: &Recipe) -> Result<Vec<Preparation>, Error> {
    catching(|| {
        let Blank { overlay, layout, .. } = Blank::new(&cached(base), Size::default())?;
        let editor = ImageEditor::open(&overlay, &layout, 0, const { &Clock::new(0) })?;
        remains::preparations(editor.boot.as_ref(), editor.root.as_ref(), recipe)
    })
}

/// Refuses a `base` that lacks what the board of `recipe` needs, where it names one, or the kernel of which lacks a module
/// that the node needs. Nothing is written.
///
/// # Errors
/// [`Error::Board`], [`Error::KernelModule`], and those of reading the base.
pub fn check_base(base: Arc<dyn ReadAt>, recipe: &Recipe) -> Result<(), Error> {
    catching(|| {
        let Blank { overlay, layout, .. } = Blank::new(&cached(base), Size::default())?;
        let editor = ImageEditor::open(&overlay, &layout, 0, const { &Clock::new(0) })?;
        kernel_line::check_board(editor.boot.as_ref(), recipe)?;
        kernel_modules::check(editor.root.as_ref(), recipe)
    })
}

/// What there is room for in the image that becomes of `base` with `size`. Nothing is written.
///
/// # Errors
/// [`Error::Smaller`], [`Error::Enlarging`], [`Error::NoRoom`], and those of reading the base.
pub fn room(base: Arc<dyn ReadAt>, size: Size) -> Result<Room, Error> {
    catching(|| Ok(Blank::new(&cached(base), size)?.room))
}

/// What a bake left: the partitions, and every path that the recipe names, as they must be.
#[derive(Debug)]
pub struct Proof {
    layout: Layout,
    own: OwnDisk,
    root_len: u64,
    /// Files that were read back in full when they were laid into the image.
    shared: Arc<BTreeMap<(Volume, ImagePath), Expected>>,
    expected: BTreeMap<(Volume, ImagePath), Expected>,
    now: i64,
}

impl Proof {
    /// The regular files that were written, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = Written<'_>> {
        let shared = self.shared.iter().filter(|(place, _)| !self.expected.contains_key(*place));
        let all: BTreeMap<_, _> = shared.chain(&self.expected).collect();
        all.into_iter().filter_map(|((volume, path), expected)| Written::of(*volume, path, expected))
    }

    /// Reads the partition table and every path back from `image`, the paths through readers that share no code
    /// with what writes. Of the files that nodes share, that they are there and of the right length.
    ///
    /// # Errors
    /// The first that is not as it must be.
    pub fn check(&self, image: &Arc<dyn ReadAt>) -> Result<(), Mismatch> {
        check::check_table(image, &self.layout, &self.own, self.root_len)?;
        let shared = self.shared.iter().filter(|(place, _)| !self.expected.contains_key(*place));
        check::check(image, &self.layout, shared.chain(&self.expected), self.now)
    }
}
