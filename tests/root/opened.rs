//! An image as the kernel sees it: its partitions as trees of files, with all that is told of each.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pibake::disk::{FileDevice, partitions};
use sha2::{Digest, Sha256};

use support::{run, tool};

/// The partitions of an image as trees until dropped: the root file system mounted for reading;
/// the boot partition copied by mtools, since not every kernel that the tests run on has FAT.
pub struct Opened {
    pub boot: PathBuf,
    pub root: PathBuf,
    _work: tempfile::TempDir,
}

impl Opened {
    pub fn new(image: &Path) -> Self {
        let device = FileDevice::open(image).unwrap();
        let (_, found) = partitions(&device).unwrap();
        let work = tempfile::tempdir().unwrap();
        let (boot, root) = (work.path().join("boot"), work.path().join("root"));
        for dir in [&boot, &root] {
            std::fs::create_dir(dir).unwrap();
        }
        let at = format!("{}@@{}", image.display(), found[0].offset);
        run(tool("mcopy", "mtools").args(["-s", "-m", "-n", "-i", &at, "::*"]).arg(&boot));
        let options = format!("loop,ro,offset={},sizelimit={}", found[1].offset, found[1].len);
        run(tool("mount", "mount").args(["-o", &options]).arg(image).arg(&root));
        Self { boot, root, _work: work }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let done = tool("umount", "mount").arg(&self.root).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.root.display());
        }
    }
}

/// All that the kernel tells of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Kind and permissions.
    pub mode: u32,
    pub owner: (u32, u32),
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    device: u64,
    /// Of directories neither is kept: both follow from what is in them.
    links: u64,
    changed: (i64, i64),
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    File([u8; 32]),
    Link(PathBuf),
    Other,
}

/// A directory tree: every path below `top`, with a `/` before it.
pub fn tree(top: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for child in std::fs::read_dir(&dir).unwrap() {
            let path = child.unwrap().path();
            let entry = Entry::of(&path);
            if entry.is_dir() {
                open.push(path.clone());
            }
            let name = path.strip_prefix(top).unwrap().to_str().unwrap();
            found.insert(format!("/{name}"), entry);
        }
    }
    found
}

impl Entry {
    pub fn of(path: &Path) -> Self {
        let meta = std::fs::symlink_metadata(path).unwrap();
        let content = if meta.is_file() {
            let mut hash = Sha256::new();
            hash.update(std::fs::read(path).unwrap());
            Content::File(hash.finalize().into())
        } else if meta.is_symlink() {
            Content::Link(std::fs::read_link(path).unwrap())
        } else {
            Content::Other
        };
        let (links, changed) = match meta.is_dir() {
            true => (0, (0, 0)),
            false => (meta.nlink(), (meta.mtime(), meta.mtime_nsec())),
        };
        let owner = (meta.uid(), meta.gid());
        let attributes = attributes(path);
        Self { mode: meta.mode(), owner, attributes, device: meta.rdev(), links, changed, content }
    }

    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

/// The extended attributes of a path, which file capabilities and access lists are kept in.
fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap();
    let value = |name: &[u8]| {
        let mut value = vec![0; 65536];
        let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value).unwrap();
        value[..len].to_vec()
    };
    names[..len].split(|b| *b == 0).filter(|n| !n.is_empty()).map(|n| (n.to_vec(), value(n))).collect()
}

/// Paths that differ between two trees, or are in one alone.
pub fn differing<'a>(
    one: &'a BTreeMap<String, Entry>,
    other: &'a BTreeMap<String, Entry>,
) -> BTreeSet<&'a str> {
    let paths = one.keys().chain(other.keys());
    paths.filter(|path| one.get(*path) != other.get(*path)).map(String::as_str).collect()
}

/// Panics if anything differs that is not named, but for directories made for what is.
pub fn assert_unnamed_is_the_same(
    node: &str,
    named: &BTreeSet<&str>,
    before: &BTreeMap<String, Entry>,
    after: &BTreeMap<String, Entry>,
) {
    for path in differing(before, after) {
        if named.contains(path) {
            continue;
        }
        // a directory that a file was put into and that was not there before
        let made =
            after.get(path).is_some_and(|e| e.is_dir() && e.mode & 0o7777 == 0o755 && e.owner == (0, 0))
                && !before.contains_key(path)
                && named.iter().any(|n| n.starts_with(&format!("{path}/")));
        assert!(made, "{node}: {path} was {:?} and is {:?}", before.get(path), after.get(path));
    }
}
