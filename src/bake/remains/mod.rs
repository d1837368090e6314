//! What a base image brings along if it was in use before.
//!
//! A base is the stock image of a release. Somebody's own, made by starting the stock one and
//! changing it, also holds who that machine was; if it was a node, it holds a cluster's keys. The
//! former is taken away, by changes that `plan` shows; the latter is refused.

mod table;

use std::collections::BTreeMap;
use std::fmt;

use table::{Fate, RULES, Rule, When};

use super::error::{Error, Used};
use super::links;
use crate::fs::{self, FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Access, Action, Change, Recipe, Secrecy, Volume};

/// Deepest that a folder is searched for something in it.
const DEPTH: usize = 16;
/// Longest file that is looked into, in bytes.
const LOOKED_INTO: u64 = 4096;

/// A change that is made to a base before the recipe's, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation {
    /// What is done.
    pub change: Change,
    /// What is there.
    pub what: &'static str,
    /// Something was there: the base was in use. A stock image may lack a file that it should have.
    pub was_there: bool,
}

/// What is to be done to the root file system `fs` before the changes of `recipe`; nothing where a
/// change of the recipe takes the place itself.
///
/// # Errors
/// [`Error::Used`], [`Error::FileSystem`]
pub(super) fn preparations(fs: &dyn FsRead, recipe: &Recipe) -> Result<Vec<Preparation>, Error> {
    let looking = |source| Error::FileSystem { volume: Volume::Root, source };
    let (mut found, refused) = look(fs).map_err(looking)?;
    if !refused.is_empty() {
        return Err(Used { node: node(fs), found: refused }.into());
    }
    for Change { volume, path, action } in &recipe.changes {
        if *volume == Volume::Root && !matches!(action, Action::Directory { .. }) {
            found.remove(path);
        }
    }
    Ok(found.into_values().collect())
}

/// What is there: what can be made good, by its path, and what cannot.
type Remains = (BTreeMap<ImagePath, Preparation>, Vec<(ImagePath, &'static str)>);

fn look(fs: &dyn FsRead) -> Result<Remains, fs::Error> {
    let mut refused = Vec::new();
    let mut found = BTreeMap::new();
    for rule in RULES {
        for path in places(fs, rule)? {
            if !applies(fs, &path, rule.when)? {
                continue;
            }
            let action = match rule.fate {
                Fate::Refuse => {
                    refused.push((path, rule.what));
                    continue;
                }
                Fate::Remove => Action::Remove,
                Fate::Reset(content) => Action::Write {
                    content: content.into(),
                    access: Access::root(if content.is_empty() { 0o444 } else { 0o600 }),
                    secrecy: Secrecy::Public,
                },
            };
            let change = Change { volume: Volume::Root, path: path.clone(), action };
            let was_there = fs.metadata(&path)?.is_some();
            found.insert(path, Preparation { change, what: rule.what, was_there });
        }
    }
    Ok((found, refused))
}

/// The paths that a rule speaks of: one, or those in a folder that its pattern fits.
fn places(fs: &dyn FsRead, rule: &Rule) -> Result<Vec<ImagePath>, fs::Error> {
    let Ok(place) = ImagePath::new(rule.place) else { return Ok(Vec::new()) };
    let (Some(folder), Some(pattern)) = (place.parent(), place.file_name()) else { return Ok(Vec::new()) };
    let Some(folder) = real_folder(fs, &folder)? else { return Ok(Vec::new()) };
    let joined = |name: &str| folder.join(name).map_err(|e| fs::Error::corrupt(&folder, e.to_string()));
    if !pattern.contains('*') {
        return Ok(vec![joined(pattern)?]);
    }
    let fitting = fs
        .names(&folder)?
        .into_iter()
        .filter(|name| fits(pattern, name) && !rule.stock.contains(&name.as_str()));
    fitting.map(|name| joined(&name)).collect()
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
            Ok(Some(String::from_utf8_lossy(&fs.content(path)?).into_owned()))
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
            for name in fs.names(path)? {
                // packages keep an empty folder by such a file
                if name.starts_with('.') && name.ends_with("keep") {
                    continue;
                }
                let below = path.join(&name).map_err(|e| fs::Error::corrupt(path, e.to_string()))?;
                if is_filled(fs, &below, depth)? {
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
        match self.change.action {
            Action::Remove => write!(f, "removed: {}", self.what),
            _ => write!(f, "reset: {}", self.what),
        }
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
            assert!(rule.place.matches('*').count() <= 1, "{}", rule.place);
            assert!(rule.fate != Fate::Refuse || rule.stock.is_empty());
            assert!(rule.stock.is_empty() || rule.place.contains('*'));
        }
    }
}
