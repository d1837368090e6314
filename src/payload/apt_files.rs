//! The files that apt on a node reads: those of the base, as the node's recipe changes them.

use std::collections::BTreeSet;

use super::error::{Error, Result};
use crate::apt::{Form, Listed, Pins, form_of};
use crate::fs::FileKind;
use crate::image_path::ImagePath;
use crate::image_reader::ImageReader;
use crate::recipe::{Action, Recipe, Volume};

/// No file of apt's comes near this size: keyrings of whole distributions have some 100 KiB.
const LARGEST: u64 = 16 << 20;

/// So many links may stand between a path and its file.
const MOST_LINKS: u32 = 8;

const LISTS: &str = "/etc/apt/sources.list";
const LISTS_FOLDER: &str = "/etc/apt/sources.list.d";
const PREFERENCES: &str = "/etc/apt/preferences";
const PREFERENCES_FOLDER: &str = "/etc/apt/preferences.d";

/// Where a link in `folder` leads.
fn follow(folder: &ImagePath, target: &str) -> Result<ImagePath> {
    let mut at = if target.starts_with('/') { ImagePath::root() } else { folder.clone() };
    for part in target.split('/') {
        at = match part {
            "" | "." => at,
            ".." => at.parent().unwrap_or(at),
            name => at.join(name)?,
        };
    }
    Ok(at)
}

/// The files that apt on a node reads.
pub(super) struct AptFiles<'a> {
    base: &'a ImageReader,
    recipe: &'a Recipe,
}

/// A source that a list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) listed: Listed,
    /// The list.
    pub(super) list: String,
    /// Whether the list is the distribution's own, and not one that the recipe brings.
    pub(super) is_base: bool,
}

impl<'a> AptFiles<'a> {
    pub(super) fn new(base: &'a ImageReader, recipe: &'a Recipe) -> Self {
        Self { base, recipe }
    }

    /// What the recipe does to a path.
    fn action(&self, path: &ImagePath) -> Option<&Action> {
        let mut changes = self.recipe.changes.iter().filter(|change| change.volume == Volume::Root);
        changes.find(|change| change.path == *path).map(|change| &change.action)
    }

    /// The content of a file; `None` where there is none.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut path = ImagePath::new(path)?;
        for _ in 0..MOST_LINKS {
            let target = match self.action(&path) {
                Some(Action::Write { content, .. }) => return Ok(Some(content.clone())),
                Some(Action::Symlink { target }) => target.clone().into_bytes(),
                Some(_) => return Ok(None),
                None => match self.base.metadata(&path)?.map(|found| found.kind) {
                    Some(FileKind::File) => return Ok(self.base.read_whole(&path, LARGEST)?),
                    Some(FileKind::Symlink) => self.base.read_whole(&path, LARGEST)?.unwrap_or_default(),
                    _ => return Ok(None),
                },
            };
            let target = String::from_utf8_lossy(&target).into_owned();
            let folder = path.parent().unwrap_or_else(ImagePath::root);
            path = follow(&folder, &target)?;
        }
        Ok(None)
    }

    /// The names of what is in a folder, sorted.
    fn names(&self, folder: &str) -> Result<BTreeSet<String>> {
        let path = ImagePath::new(folder)?;
        let mut names = BTreeSet::new();
        if self.base.metadata(&path)?.is_some_and(|found| found.kind == FileKind::Directory) {
            let entries = self.base.list(&path)?;
            names.extend(entries.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok()));
        }
        for change in self.recipe.changes.iter().filter(|change| change.volume == Volume::Root) {
            if change.path.parent().as_ref() == Some(&path) {
                names.extend(change.path.file_name().map(str::to_owned));
            }
        }
        Ok(names)
    }

    /// The sources of packages, in the order in which apt reads them.
    pub(super) fn sources(&self, architecture: &str) -> Result<Vec<Source>> {
        let mut lists = vec![(LISTS.to_owned(), Form::Lines)];
        for name in self.names(LISTS_FOLDER)? {
            lists.extend(form_of(&name).map(|form| (format!("{LISTS_FOLDER}/{name}"), form)));
        }
        let mut sources = Vec::new();
        for (list, form) in lists {
            let Some(content) = self.read(&list)? else { continue };
            let is_base = self.action(&ImagePath::new(list.as_str())?).is_none();
            let listed = form.read(&content, architecture);
            let listed = listed.map_err(|source| Error::List { list: list.clone(), source })?;
            sources.extend(listed.into_iter().map(|listed| Source { listed, list: list.clone(), is_base }));
        }
        Ok(sources)
    }

    /// The preferences.
    pub(super) fn pins(&self) -> Result<Pins> {
        let is_read = |name: &String| match name.rsplit_once('.') {
            Some((_, "pref")) | None => name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)),
            Some(_) => false,
        };
        let names = self.names(PREFERENCES_FOLDER)?.into_iter().filter(is_read);
        let paths = names.map(|name| format!("{PREFERENCES_FOLDER}/{name}")).chain([PREFERENCES.to_owned()]);
        let mut pins = Pins::none();
        for path in paths {
            let Some(content) = self.read(&path)? else { continue };
            pins.add(content.as_slice()).map_err(|source| Error::Pins { path, source })?;
        }
        Ok(pins)
    }

    /// The files of a folder that hold keys: their paths.
    pub(super) fn keyrings(&self, folder: &str) -> Result<Vec<String>> {
        let is_keyring = |name: &String| name.ends_with(".gpg") || name.ends_with(".asc");
        Ok(self
            .names(folder)?
            .into_iter()
            .filter(is_keyring)
            .map(|name| format!("{folder}/{name}"))
            .collect())
    }
}
