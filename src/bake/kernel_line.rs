//! The files that the firmware may take the kernel's command line from, and what they become.

use super::command_line;
use super::error::Error;
use super::own_disk::OwnDisk;
use crate::boards::Board;
use crate::firmware;
use crate::fs::{self, FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Action, Change, KernelArgument, Recipe, Volume};

/// Longest file that the firmware reads settings or arguments from, in bytes.
const SMALL: u64 = 1 << 20;

/// The content of a file that is small by its nature; `None` if there is none.
pub(super) fn small_file(fs: &dyn FsRead, path: &ImagePath) -> Result<Option<Vec<u8>>, fs::Error> {
    let Some(found) = fs.metadata(path)? else { return Ok(None) };
    if found.kind != FileKind::File {
        return Err(fs::Error::path(path, "is not a file, and the firmware reads it as one"));
    }
    fs.content(path, SMALL).map(Some)
}

/// Whether there is a folder with anything in it.
fn is_filled(fs: &dyn FsRead, path: &ImagePath) -> Result<bool, Error> {
    let boot = |source| Error::FileSystem { volume: Volume::Boot, source };
    match fs.metadata(path).map_err(boot)? {
        Some(found) if found.kind == FileKind::Directory => Ok(!fs.entries(path).map_err(boot)?.is_empty()),
        _ => Ok(false),
    }
}

/// Whether the firmware itself says where the file of `change` is.
fn is_named_by_default(change: &Change) -> bool {
    change.volume == Volume::Boot && change.path.as_str().strip_prefix('/') == Some(firmware::COMMAND_LINE)
}

/// Refuses a base with a system on it that it has not started yet, on this board or on any.
///
/// # Errors
/// [`Error::PendingTrial`], [`Error::CommandLine`]
pub(super) fn refuse_pending(boot: &dyn FsRead, change: &Change, board: Option<Board>) -> Result<(), Error> {
    if !is_named_by_default(change) {
        return Ok(());
    }
    for folder in firmware::trial_folders(&|path: &ImagePath| small_file(boot, path), board.as_slice())? {
        if is_filled(boot, &folder)? {
            return Err(Error::PendingTrial { folder });
        }
    }
    Ok(())
}

/// Every file that `change` is made in: all that the firmware of this board, or of any, may take the kernel's command
/// line from.
///
/// # Errors
/// [`Error::CommandLine`]
pub(super) fn files(
    boot: &dyn FsRead,
    change: &Change,
    board: Option<Board>,
) -> Result<Vec<ImagePath>, Error> {
    Ok(match is_named_by_default(change) {
        true => firmware::command_lines(&|path: &ImagePath| small_file(boot, path), board.as_slice())?,
        false => vec![change.path.clone()],
    })
}

/// Refuses a base without what the firmware of the recipe's board hands to the kernel besides its command line.
///
/// # Errors
/// [`Error::Board`]
pub(super) fn check_board(boot: &dyn FsRead, recipe: &Recipe) -> Result<(), Error> {
    let Some(board) = recipe.board else { return Ok(()) };
    // as it will be with what the recipe brings
    let file = |path: &ImagePath| {
        let is_there = |change: &&Change| {
            change.volume == Volume::Boot && change.path.as_str().eq_ignore_ascii_case(path.as_str())
        };
        match recipe.changes.iter().find(is_there).map(|change| &change.action) {
            Some(Action::Write { content, .. }) => Ok(Some(content.clone())),
            Some(Action::Remove) => Ok(None),
            _ => small_file(boot, path),
        }
    };
    firmware::check_device_tree(&file, board).map_err(Error::Board)
}

/// What the file at `path` becomes: `line`, or else what is there, with `set` in it and `unset` not, and `root=` naming the
/// disk's `own` root file system.
///
/// # Errors
/// [`fs::Error`]
pub(super) fn edited(
    fs: &dyn FsRead,
    path: &ImagePath,
    line: Option<&str>,
    set: &[KernelArgument],
    unset: &[KernelArgument],
    own: &OwnDisk,
) -> Result<String, fs::Error> {
    let text = match line {
        Some(line) => line.as_bytes().to_vec(),
        None => small_file(fs, path)?.ok_or_else(|| fs::Error::path(path, "no such file or directory"))?,
    };
    let (set, unset) = with_own_root(&text, set, unset, own);
    command_line::edit(&text, &set, &unset).map_err(|why| fs::Error::path(path, why))
}

/// What [`edited`] would still change in `text`, in words.
pub(super) fn missing(
    text: &[u8],
    set: &[KernelArgument],
    unset: &[KernelArgument],
    own: &OwnDisk,
) -> Vec<String> {
    let (set, unset) = with_own_root(text, set, unset, own);
    command_line::missing(text, &set, &unset)
}

/// `set` and `unset`, and with them what makes `text` name the disk's own root file system.
fn with_own_root(
    text: &[u8],
    set: &[KernelArgument],
    unset: &[KernelArgument],
    own: &OwnDisk,
) -> (Vec<KernelArgument>, Vec<KernelArgument>) {
    let text = String::from_utf8_lossy(text);
    let words = command_line::arguments(text.trim_start_matches(command_line::MARK)).unwrap_or_default();
    let (own, others) = own.arguments(&words, set);
    (set.iter().cloned().chain(own).collect(), unset.iter().cloned().chain(others).collect())
}
