//! A card held against a recipe, or against files that are known by their digests: all differences, not the first alone.
//!
//! What a path must be is told by the same [`Expected`] as after a bake, and looked at by the same code. The base is not
//! at hand here, so what a recipe takes over from it is seen by its rules: the kernel's command line is right where the
//! recipe would change nothing of it.

use std::collections::BTreeSet;
use std::io;

use super::check::{Expected, GONE, differences};
use super::kernel_line::{self, small_file};
use super::links;
use super::own_disk::OwnDisk;
use crate::boards::Board;
use crate::catalog::Digest;
use crate::fs::{self, FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Access, Action, Change, KernelArgument, Recipe, Volume};

/// A regular file that is known by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The file system that holds it.
    pub volume: Volume,
    /// Where it lies there.
    pub path: ImagePath,
    /// The digest of its content; `None` where nothing is known of that.
    pub sha256: Option<Digest>,
    /// Its owner and mode, where they are known.
    pub access: Option<Access>,
}

/// A path that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file system.
    pub volume: Volume,
    /// The path, as the recipe has it.
    pub path: ImagePath,
    /// What is otherwise, in words that tell nothing of the content.
    pub differences: Vec<String>,
}

impl Finding {
    /// Whether nothing is there at all.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.differences.iter().any(|text| text == GONE)
    }
}

/// The two file systems of a card, and what was found in them.
pub struct Comparison<'a> {
    /// FAT.
    boot: &'a dyn FsRead,
    /// ext4.
    root: &'a dyn FsRead,
    /// What the table calls the two.
    own: OwnDisk,
    /// Told of the bytes that were read; an error ends it.
    seen: &'a mut dyn FnMut(u64) -> io::Result<()>,
    findings: Vec<Finding>,
    compared: BTreeSet<(Volume, ImagePath)>,
}

impl<'a> Comparison<'a> {
    /// Of a card with these file systems, which its table calls so. `seen` is told how many bytes of known files were
    /// read, and ends it with an error.
    pub fn new(
        boot: &'a dyn FsRead,
        root: &'a dyn FsRead,
        own: OwnDisk,
        seen: &'a mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Self {
        Self { boot, root, own, seen, findings: Vec::new(), compared: BTreeSet::new() }
    }

    /// Compares all that `recipe` changes but for paths that `is_other` says are somebody else's.
    pub fn recipe(&mut self, recipe: &Recipe, is_other: &dyn Fn(Volume, &ImagePath) -> bool) {
        for change in recipe.changes.iter().filter(|change| !is_other(change.volume, &change.path)) {
            match &change.action {
                Action::KernelArguments { set, unset, .. } => {
                    self.arguments(change, recipe.board, set, unset)
                }
                _ => self.change(change),
            }
        }
    }

    /// Compares files that are known by their digests.
    pub fn known(&mut self, files: &[Known]) {
        for Known { volume, path, sha256, access } in files {
            let expected = Expected::Known { sha256: *sha256, access: *access };
            self.place(*volume, path, path, &expected);
        }
    }

    /// What is otherwise, one entry a path in the order of the paths, and how many paths were compared.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Finding>, usize) {
        self.findings.sort_by(|a, b| (a.volume, &a.path).cmp(&(b.volume, &b.path)));
        let mut merged: Vec<Finding> = Vec::new();
        for finding in self.findings {
            match merged
                .last_mut()
                .filter(|last| (last.volume, &last.path) == (finding.volume, &finding.path))
            {
                Some(last) => {
                    for text in finding.differences {
                        if !last.differences.contains(&text) {
                            last.differences.push(text);
                        }
                    }
                }
                None => merged.push(finding),
            }
        }
        (merged, self.compared.len())
    }

    fn on(&self, volume: Volume) -> &'a dyn FsRead {
        match volume {
            Volume::Boot => self.boot,
            Volume::Root => self.root,
        }
    }

    fn change(&mut self, Change { volume, path, action }: &Change) {
        let place = match (volume, action) {
            // FAT has no links
            (Volume::Boot, _) => Ok(path.clone()),
            (Volume::Root, Action::Directory { .. }) => links::resolve(self.root, path),
            (Volume::Root, _) => links::resolve_parents(self.root, path),
        };
        let place = match place {
            Ok(place) => place,
            Err(fault) => return self.found(*volume, path, vec![fault.to_string()]),
        };
        let expected = match action {
            Action::Write { content, access, secrecy } => {
                Expected::File { content: content.clone(), access: *access, secret: secrecy.is_secret() }
            }
            Action::Symlink { target } => Expected::Symlink { target: target.clone() },
            // one that the base had has its owner and mode, which are not known here
            Action::Directory { .. } => return self.directory(path, &place),
            Action::Fstab => return self.fstab(path, &place),
            Action::Remove | Action::KernelArguments { .. } => Expected::Absent,
        };
        self.place(*volume, path, &place, &expected);
    }

    fn place(&mut self, volume: Volume, path: &ImagePath, place: &ImagePath, expected: &Expected) {
        let found = differences(self.on(volume), place, expected, self.seen);
        self.found(volume, path, found.unwrap_or_else(|fault| vec![unreadable(&fault)]));
    }

    fn directory(&mut self, path: &ImagePath, place: &ImagePath) {
        let found = match self.root.metadata(place) {
            Ok(Some(found)) if found.kind == FileKind::Directory => Vec::new(),
            Ok(Some(found)) => vec![format!("it is of another kind: {:?}", found.kind)],
            Ok(None) => vec![GONE.to_owned()],
            Err(fault) => vec![unreadable(&fault)],
        };
        self.found(Volume::Root, path, found);
    }

    /// What the base had in it is not known here.
    fn fstab(&mut self, path: &ImagePath, place: &ImagePath) {
        let found = match self.own.edited_fstab(self.root, place) {
            Ok(Some(_)) => vec![OTHER_DISKS.to_owned()],
            Ok(None) => Vec::new(),
            Err(fault) => vec![unreadable(&fault)],
        };
        self.found(Volume::Root, path, found);
    }

    /// Every file that the firmware of this board, or of any, may take the kernel's command line from.
    fn arguments(
        &mut self,
        change: &Change,
        board: Option<Board>,
        set: &[KernelArgument],
        unset: &[KernelArgument],
    ) {
        let lines = match kernel_line::files(self.boot, change, board) {
            Ok(lines) => lines,
            Err(fault) => return self.found(change.volume, &change.path, vec![fault.to_string()]),
        };
        for path in lines {
            let found = match small_file(self.boot, &path) {
                Ok(Some(text)) => kernel_line::missing(&text, set, unset, &self.own),
                Ok(None) => vec![GONE.to_owned()],
                Err(fault) => vec![unreadable(&fault)],
            };
            self.found(Volume::Boot, &path, found);
        }
    }

    fn found(&mut self, volume: Volume, path: &ImagePath, differences: Vec<String>) {
        self.compared.insert((volume, path.clone()));
        if !differences.is_empty() {
            self.findings.push(Finding { volume, path: path.clone(), differences });
        }
    }
}

/// What is said of an fstab that does not name the disk's own partitions.
const OTHER_DISKS: &str = "it names file systems by what other disks may have as well, or another disk's";

fn unreadable(fault: &fs::Error) -> String {
    format!("it cannot be read: {}", crate::error::one_line(fault))
}
