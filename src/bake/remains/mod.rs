//! What a base image brings along if it was in use before.
//!
//! A base is the stock image of a release. Somebody's own, made by starting the stock one and
//! changing it, also holds who that machine was; if it was a node, it holds a cluster's keys. The
//! former is taken away, by changes that `plan` shows; the latter is refused.

mod edit;
mod table;

use std::collections::BTreeMap;
use std::fmt;

use edit::Edit;
use table::{Fate, RULES, Rule, When};

use super::access::access_of;
use super::error::{Error, Used};
use super::links;
use crate::fs::{self, FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Access, Action, Change, Recipe, Secrecy, Volume};

/// Deepest that a folder is searched for something in it.
const DEPTH: usize = 16;
/// Longest file that is looked into, in bytes.
const LOOKED_INTO: u64 = 4096;
/// Longest file that is edited, in bytes.
const EDITED: u64 = 1 << 20;

/// A change that is made to a base before the recipe's, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation {
    /// What is done.
    pub change: Change,
    /// What is done, in a word: `removed`.
    pub done: &'static str,
    /// What is there.
    pub what: &'static str,
    /// Something was there: the base was in use. A stock image may lack a file that it should have.
    pub was_there: bool,
}

/// What is to be done to the boot partition and the root file system before the changes of `recipe`; nothing where a
/// change of the recipe takes the place itself, and not only edits what is there.
///
/// # Errors
/// [`Error::Used`], [`Error::FileSystem`]
pub(super) fn preparations(
    boot: &dyn FsRead,
    root: &dyn FsRead,
    recipe: &Recipe,
) -> Result<Vec<Preparation>, Error> {
    let (mut found, refused) = look(boot, root)?;
    if !refused.is_empty() {
        return Err(Used { node: node(root), found: refused }.into());
    }
    for Change { volume, path, action } in &recipe.changes {
        if !matches!(action, Action::Directory { .. } | Action::Fstab) {
            found.remove(&(*volume, path.clone()));
        }
    }
    Ok(found.into_values().collect())
}

/// What is there: what can be made good, by its place, and what cannot.
type Remains = (BTreeMap<(Volume, ImagePath), Preparation>, Vec<(ImagePath, &'static str)>);

fn look(boot: &dyn FsRead, root: &dyn FsRead) -> Result<Remains, Error> {
    let mut refused = Vec::new();
    let mut found = BTreeMap::new();
    for rule in RULES {
        let fs = if rule.volume == Volume::Boot { boot } else { root };
        let looking = |source| Error::FileSystem { volume: rule.volume, source };
        for path in places(fs, rule).map_err(looking)? {
            if !applies(fs, &path, rule.when).map_err(looking)? {
                continue;
            }
            let (done, action) = match rule.fate {
                Fate::Refuse => {
                    refused.push((path, rule.what));
                    continue;
                }
                Fate::Remove => ("removed", Action::Remove),
                Fate::Reset(content) => {
                    let mode = if content.is_empty() { 0o444 } else { 0o600 };
                    ("reset", write(content.as_bytes().to_vec(), Access::root(mode)))
                }
                Fate::Edit(edit, done) => match edited(fs, &path, edit).map_err(looking)? {
                    Some(action) => (done, action),
                    None => continue,
                },
            };
            let change = Change { volume: rule.volume, path: path.clone(), action };
            let was_there = fs.metadata(&path).map_err(looking)?.is_some();
            found.insert((rule.volume, path), Preparation { change, done, what: rule.what, was_there });
        }
    }
    Ok((found, refused))
}

fn write(content: Vec<u8>, access: Access) -> Action {
    Action::Write { content, access, secrecy: Secrecy::Public }
}

/// The file at `path` as `edit` leaves it; `None` where nothing of it changes, or it is no file.
fn edited(fs: &dyn FsRead, path: &ImagePath, edit: Edit) -> Result<Option<Action>, fs::Error> {
    let Some(found) = fs.metadata(path)?.filter(|found| found.kind == FileKind::File) else {
        return Ok(None);
    };
    let access = access_of(&found);
    let edited = edit(&fs.content(path, EDITED)?);
    Ok(edited.map(|content| write(content, access.unwrap_or(Access::root(0o600)))))
}

/// The paths that a rule speaks of: one, or those that its pattern fits.
fn places(fs: &dyn FsRead, rule: &Rule) -> Result<Vec<ImagePath>, fs::Error> {
    let Ok(place) = ImagePath::new(rule.place) else { return Ok(Vec::new()) };
    let mut parts = place.components().peekable();
    let mut found = vec![ImagePath::root()];
    while let Some(part) = parts.next() {
        let stock = if parts.peek().is_none() { rule.stock } else { &[] };
        let mut next = Vec::new();
        for folder in found {
            let Some(folder) = real_folder(fs, &folder)? else { continue };
            let names = if part.contains('*') { fitting(fs, &folder, part)? } else { vec![part.to_owned()] };
            for name in names.into_iter().filter(|name| !stock.contains(&name.as_str())) {
                next.push(below(&folder, &name)?);
            }
        }
        found = next;
    }
    Ok(found)
}

fn below(folder: &ImagePath, name: &str) -> Result<ImagePath, fs::Error> {
    folder.join(name).map_err(|fault| fs::Error::corrupt(folder, fault.to_string()))
}

/// The names in a folder that `pattern` fits. One that is not UTF-8 can be no path here, and what takes part must not stay.
fn fitting(fs: &dyn FsRead, folder: &ImagePath, pattern: &str) -> Result<Vec<String>, fs::Error> {
    let mut names = Vec::new();
    for (name, _) in fs.entries(folder)? {
        match String::from_utf8(name) {
            Ok(name) => names.extend(fits(pattern, &name).then_some(name)),
            Err(fault) => {
                let shown = String::from_utf8_lossy(fault.as_bytes());
                if fits(pattern, &shown) {
                    let why = format!("holds {shown:?}, a name that is not UTF-8: take it out of the base");
                    return Err(fs::Error::path(folder, why));
                }
            }
        }
    }
    Ok(names)
}

/// Whether `name` is what `pattern`, with one `*` in it, stands for.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return name == pattern };
    let rest = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    rest.is_some() && !name.starts_with('.')
}

/// The folder that `path` leads to through links inside the image; `None` if there is none.
fn real_folder(fs: &dyn FsRead, path: &ImagePath) -> Result<Option<ImagePath>, fs::Error> {
    let real = match links::resolve(fs, path) {
        // a link in a circle, or a file where a folder should be
        Err(fs::Error::Path { .. }) => return Ok(None),
        real => real?,
    };
    let is_folder = fs.metadata(&real)?.is_some_and(|found| found.kind == FileKind::Directory);
    Ok(is_folder.then_some(real))
}

/// The text of a short file, or the target of a link, whichever `kind` asks for; `None` for all else.
fn text(fs: &dyn FsRead, path: &ImagePath, kind: FileKind) -> Result<Option<String>, fs::Error> {
    match fs.metadata(path)? {
        Some(found) if found.kind == kind && found.len <= LOOKED_INTO => {
            Ok(Some(String::from_utf8_lossy(&fs.content(path, LOOKED_INTO)?).into_owned()))
        }
        _ => Ok(None),
    }
}

fn applies(fs: &dyn FsRead, path: &ImagePath, when: When) -> Result<bool, fs::Error> {
    let text = |kind| text(fs, path, kind);
    Ok(match when {
        When::Filled => is_filled(fs, path, DEPTH)?,
        When::Begins(start) => text(FileKind::File)?.is_some_and(|text| text.trim().starts_with(start)),
        When::Masked => text(FileKind::Symlink)?.as_deref() == Some("/dev/null"),
        // as machine-id(5) has it: an image has an empty file, or one that says this
        When::MachineId => {
            !matches!(text(FileKind::File)?.as_deref().map(str::trim), Some("" | "uninitialized"))
        }
    })
}

fn is_filled(fs: &dyn FsRead, path: &ImagePath, depth: usize) -> Result<bool, fs::Error> {
    let Some(found) = fs.metadata(path)? else { return Ok(false) };
    match found.kind {
        // a link from one name of a thing to the other, such as dbus has for the machine's id
        FileKind::Symlink if path.as_str().starts_with("/var/lib/dbus/") => Ok(false),
        FileKind::Symlink | FileKind::Other => Ok(true),
        FileKind::File => Ok(found.len > 0),
        FileKind::Directory => {
            let Some(depth) = depth.checked_sub(1) else { return Ok(true) };
            for (name, found) in fs.entries(path)? {
                let is_filled = match String::from_utf8(name) {
                    // packages keep an empty folder by such a file
                    Ok(name) if name.starts_with('.') && name.ends_with("keep") => false,
                    Ok(name) => is_filled(fs, &below(path, &name)?, depth)?,
                    // what cannot be named here cannot be looked into either
                    Err(_) => found.kind != FileKind::File || found.len > 0,
                };
                if is_filled {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// What pibake wrote on the card of the node that the base was.
fn node(fs: &dyn FsRead) -> Option<String> {
    let path = ImagePath::new("/etc/hostname").ok()?;
    let name = text(fs, &path, FileKind::File).ok()??.trim().to_owned();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    is_name.then_some(name)
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.done, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_one_star() {
        for (pattern, name, fit) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*", ".kubelet-keep", false),
            ("ssh_host_*", "ssh_host_rsa_key.pub", true),
            ("*.leases~", "dhcpd.leases~", true),
            ("a*a", "a", false),
            ("x", "x", true),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn every_place_is_a_path_and_what_is_refused_is_never_stock() {
        for rule in RULES {
            assert!(ImagePath::new(rule.place).is_ok(), "{}", rule.place);
            assert!(rule.place.split('/').all(|part| part.matches('*').count() <= 1), "{}", rule.place);
            assert!(!matches!(rule.fate, Fate::Refuse) || rule.stock.is_empty());
            assert!(rule.stock.is_empty() || rule.place.contains('*'));
        }
    }
}
