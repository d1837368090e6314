//! What a card or an image has otherwise than a recipe would make it. Nothing is written, and no secret is told: of a file
//! in which one is, that it differs.

use std::collections::BTreeSet;

use super::access::access_of;
use super::command_line::{apart, arguments};
use super::editor::catching;
use super::error::Error;
use super::own_disk::OwnDisk;
use super::{kernel_line, links};
use crate::fs::{self, FileKind, FsRead, Metadata, TARGET_MAX};
use crate::image_path::ImagePath;
use crate::node_paths;
use crate::recipe::{Access, Action, BakedList, Change, Recipe, Secrecy, Volume};

/// Longer files are compared and not shown, in bytes.
const SHOWN_MAX: u64 = 1 << 20;

/// A card or an image that was baked before, opened for reading.
pub struct Card<'a> {
    /// Its boot partition.
    pub boot: &'a dyn FsRead,
    /// Its root file system.
    pub root: &'a dyn FsRead,
    /// What its table calls the two: a new bake's ids are new, and no difference.
    pub own: OwnDisk,
    /// What it says that was baked; without this, what a recipe does not write any more is not found.
    pub list: Option<&'a BakedList>,
}

/// A path at which a card is not as a recipe would make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The partition.
    pub volume: Volume,
    /// The path, as the recipe calls it.
    pub path: ImagePath,
    /// How it differs.
    pub differs: Differs,
    /// Whether there is a secret in the recipe's file or in the card's.
    pub secret: bool,
}

/// How a path differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Differs {
    /// It is not on the card.
    Added,
    /// It is on the card, and the recipe does not write it, or takes it away.
    Removed,
    /// Text that may be shown.
    Text {
        /// As it is on the card.
        found: String,
        /// As the recipe has it.
        wanted: String,
    },
    /// Content that is not shown: it is secret, no text, or long.
    Content,
    /// The kernel's arguments.
    Arguments {
        /// Those that the card alone has.
        gone: Vec<String>,
        /// Those that the recipe alone has.
        new: Vec<String>,
    },
    /// Owner or mode alone.
    Access {
        /// On the card.
        found: Access,
        /// In the recipe.
        wanted: Access,
    },
    /// It is something else: a file, a directory or a link.
    Kind,
}

/// All that a bake of `recipe` would make otherwise than `card` has it, in order. The kernel's command line is made of the
/// one on `base`, the boot partition of the image that would be baked; where that is not here, of the card's own.
///
/// # Errors
/// What the file systems answer.
pub fn diff(card: &Card<'_>, base: Option<&dyn FsRead>, recipe: &Recipe) -> Result<Vec<Difference>, Error> {
    catching(|| {
        let mut found = Vec::new();
        let mut written: BTreeSet<(Volume, ImagePath)> = BTreeSet::new();
        for change in &recipe.changes {
            if let Action::KernelArguments { line, set, unset } = &change.action {
                let boot = base.unwrap_or(card.boot);
                for path in kernel_line::files(boot, change, recipe.board)? {
                    let wanted = kernel_line::edited(boot, &path, line.as_deref(), set, unset, &card.own);
                    let wanted = wanted.map_err(on(Volume::Boot))?;
                    found.extend(card.line(&path, &wanted).map_err(on(Volume::Boot))?);
                    written.insert((change.volume, path));
                }
                written.insert((change.volume, change.path.clone()));
                continue;
            }
            written.insert((change.volume, change.path.clone()));
            // it differs where anything does
            if change.path.as_str() != node_paths::BAKED {
                found.extend(card.difference(change).map_err(on(change.volume))?);
            }
        }
        for (volume, path) in card.list.into_iter().flat_map(BakedList::files) {
            let is_written = written.contains(&(volume, path.clone()));
            if !is_written && card.at(volume, path).map_err(on(volume))?.1.is_some() {
                let secret = card.list.is_some_and(|list| list.is_secret(volume, path));
                found.push(Difference { volume, path: path.clone(), differs: Differs::Removed, secret });
            }
        }
        found.sort_by(|a, b| (a.volume, &a.path).cmp(&(b.volume, &b.path)));
        Ok(found)
    })
}

fn on(volume: Volume) -> impl Fn(fs::Error) -> Error {
    move |source| Error::Comparing { volume, source }
}

impl Card<'_> {
    /// Where on this card the recipe's `path` lies, and what is there.
    fn at(&self, volume: Volume, path: &ImagePath) -> Result<(ImagePath, Option<Metadata>), fs::Error> {
        let (fs, place) = match volume {
            Volume::Boot => (self.boot, path.clone()),
            Volume::Root => (self.root, links::resolve_parents(self.root, path)?),
        };
        let found = fs.metadata(&place)?;
        Ok((place, found))
    }

    fn difference(&self, Change { volume, path, action }: &Change) -> Result<Option<Difference>, fs::Error> {
        let (place, found) = self.at(*volume, path)?;
        let fs = if *volume == Volume::Boot { self.boot } else { self.root };
        let secret = matches!(action, Action::Write { secrecy, .. } if secrecy.is_secret());
        let difference =
            |differs, secret| Ok(Some(Difference { volume: *volume, path: path.clone(), differs, secret }));
        if *action == Action::Fstab {
            return match self.own.edited_fstab(fs, &place)? {
                Some((wanted, _)) => {
                    let is = fs.content(&place, SHOWN_MAX)?;
                    let secret = found.is_some_and(|found| self.may_hold_secret(*volume, path, &found, &is));
                    difference(shown(&is, &wanted, Secrecy::Public, secret), secret)
                }
                None => Ok(None),
            };
        }
        let Some(found) = found else {
            return if *action == Action::Remove { Ok(None) } else { difference(Differs::Added, secret) };
        };
        match (action, found.kind) {
            (Action::Remove, _) => difference(Differs::Removed, secret),
            (Action::Write { content, access, secrecy }, FileKind::File) => {
                let is_short = found.len <= SHOWN_MAX;
                let read = match is_short || found.len == content.len() as u64 {
                    true => Some(fs.content(&place, SHOWN_MAX.max(content.len() as u64))?),
                    false => None,
                };
                if read.as_ref() != Some(content) {
                    let read = read.filter(|_| is_short).unwrap_or_default();
                    let secret = secret || self.may_hold_secret(*volume, path, &found, &read);
                    return difference(shown(&read, content, *secrecy, secret || !is_short), secret);
                }
                match access_of(&found).filter(|is| is != access) {
                    Some(is) => difference(Differs::Access { found: is, wanted: *access }, secret),
                    None => Ok(None),
                }
            }
            (Action::Symlink { target }, FileKind::Symlink) => {
                let is = fs.content(&place, TARGET_MAX)?;
                if is == target.as_bytes() {
                    return Ok(None);
                }
                let found = format!("{}\n", String::from_utf8_lossy(&is));
                difference(Differs::Text { found, wanted: format!("{target}\n") }, false)
            }
            // one that is there stays as it is, also one that a link leads to
            (Action::Directory { .. }, FileKind::Directory | FileKind::Symlink) => Ok(None),
            _ => difference(Differs::Kind, secret),
        }
    }

    /// A file on the card that others than root may not read is shown only as long as it is what was baked, without a
    /// secret: somebody may have written one into it since. On the boot partition everybody reads everything.
    fn may_hold_secret(&self, volume: Volume, path: &ImagePath, found: &Metadata, content: &[u8]) -> bool {
        if volume == Volume::Boot {
            return false;
        }
        let is_open = found.attributes.is_some_and(|attributes| attributes.mode & 0o004 != 0);
        match self.list {
            Some(list) if list.is_secret(volume, path) => true,
            Some(list) => !is_open && !list.is_as_baked(volume, path, content),
            None => !is_open,
        }
    }

    /// The file at `path` on the boot partition against the line of arguments that is `wanted` there.
    fn line(&self, path: &ImagePath, wanted: &str) -> Result<Option<Difference>, fs::Error> {
        let difference =
            |differs| Difference { volume: Volume::Boot, path: path.clone(), differs, secret: false };
        let Some(found) = self.boot.metadata(path)? else { return Ok(Some(difference(Differs::Added))) };
        if found.kind != FileKind::File || found.len > SHOWN_MAX {
            return Ok(Some(difference(Differs::Content)));
        }
        let is = self.boot.content(path, SHOWN_MAX)?;
        if is == wanted.as_bytes() {
            return Ok(None);
        }
        let is = String::from_utf8_lossy(&is);
        let (Ok(old), Ok(new)) = (arguments(&is), arguments(wanted)) else {
            return Ok(Some(difference(Differs::Text { found: is.into_owned(), wanted: wanted.to_owned() })));
        };
        Ok(Some(match apart(&old, &new) {
            (gone, new) if gone.is_empty() && new.is_empty() => {
                difference(Differs::Text { found: is.into_owned(), wanted: wanted.to_owned() })
            }
            (gone, new) => difference(Differs::Arguments { gone, new }),
        }))
    }
}

/// What differs, as text where it is one that may be shown.
fn shown(found: &[u8], wanted: &[u8], secrecy: Secrecy, hidden: bool) -> Differs {
    let is_text = |bytes: &[u8]| !bytes.contains(&0) && bytes.len() as u64 <= SHOWN_MAX;
    if hidden || secrecy.is_secret() || !is_text(found) || !is_text(wanted) {
        return Differs::Content;
    }
    match (std::str::from_utf8(found), std::str::from_utf8(wanted)) {
        (Ok(found), Ok(wanted)) => Differs::Text { found: found.to_owned(), wanted: wanted.to_owned() },
        _ => Differs::Content,
    }
}
