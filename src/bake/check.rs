//! Reads back what a bake wrote, through readers that share no code with what writes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::access::access_of;
use super::error::{Error, Mismatch};
use super::own_disk::OwnDisk;

use crate::catalog::{Checksums, Digest, Hasher};
use crate::disk::{self, Partition, ReadAt};
use crate::fs::ext4::{Ext4View, Superblock, Time};
use crate::fs::fat::FatView;
use crate::fs::layout::Layout;
use crate::fs::{self, FileKind, FsRead, Metadata, TARGET_MAX};
use crate::image_path::ImagePath;
use crate::recipe::{Access, Change, Recipe, Volume};

/// The mode of files that several nodes share.
pub const SHARED_MODE: u16 = 0o644;

pub(super) const SHARED: Access = Access::root(SHARED_MODE);

/// No small file of a recipe has so many bytes: what stands in its place on a card is not read whole.
const SMALL: u64 = 64 << 20;

/// What must be true of a path when all is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// A regular file; `secret`: nobody but root may know what is in it.
    File { content: Vec<u8>, access: Access, secret: bool },
    /// A regular file that is too large to be held in memory; everybody may read it.
    Large { checksums: Checksums, len: u64 },
    /// A regular file of which no more is known.
    Known { sha256: Option<Digest>, access: Option<Access> },
    /// A directory.
    Directory { access: Access },
    /// A symbolic link.
    Symlink { target: String },
    /// Nothing.
    Absent,
}

/// Whether the readers know all that they will have to read back. Asked before the first change, so
/// that what they do not know is never taken for a bake that went wrong.
///
/// # Errors
/// [`Error::FileSystem`]
pub(super) fn check_readable(image: &Arc<dyn ReadAt>, layout: &Layout, recipe: &Recipe) -> Result<(), Error> {
    let on = |volume| move |source| Error::FileSystem { volume, source };
    let boot = layout.boot.open(Arc::clone(image)).and_then(FatView::open).map_err(on(Volume::Boot))?;
    let root = layout.root.open(Arc::clone(image)).and_then(Ext4View::open).map_err(on(Volume::Root))?;
    for Change { volume, path, .. } in &recipe.changes {
        match volume {
            Volume::Boot => boot.metadata(path),
            Volume::Root => root.metadata(path),
        }
        .map_err(on(*volume))?;
    }
    Ok(())
}

/// Whether `image` has the two partitions by the ids that its system knows them by, and a root file system of `root_len`
/// bytes.
pub(super) fn check_table(
    image: &Arc<dyn ReadAt>,
    layout: &Layout,
    own: &OwnDisk,
    root_len: u64,
) -> Result<(), Mismatch> {
    let mismatch = |path: &str, difference: String| Mismatch { path: path.to_owned(), difference };
    let on_table = |difference| mismatch("the partition table", difference);
    let (_, found) = disk::partitions(image).map_err(|e| on_table(e.to_string()))?;
    for Partition { number, offset, len, .. } in [&layout.boot, &layout.root] {
        if !found.iter().any(|p| (p.number, p.offset, p.len) == (*number, *offset, *len)) {
            let difference = format!("partition {number} is not the {len} bytes from byte {offset} on");
            return Err(on_table(difference));
        }
    }
    if OwnDisk::of(image, layout).map_err(|e| on_table(e.to_string()))? != *own {
        return Err(on_table("its ids are not those that it was given".to_owned()));
    }
    let on_root = |difference| mismatch("the root file system", difference);
    let root = layout.root.open(image).and_then(|root| Superblock::read(&root));
    let root = root.map_err(|e| on_root(e.to_string()))?;
    match root.blocks.saturating_mul(root.block_size) {
        len if len == root_len => Ok(()),
        len => Err(on_root(format!("it has {len} bytes, not {root_len}"))),
    }
}

/// Compares every path in `expected` with what `image` holds; `now` is when it was written.
pub(super) fn check<'e>(
    image: &Arc<dyn ReadAt>,
    layout: &Layout,
    expected: impl Iterator<Item = (&'e (Volume, ImagePath), &'e Expected)>,
    now: i64,
) -> Result<(), Mismatch> {
    let mismatch = |path: String, e: &dyn std::fmt::Display| Mismatch { path, difference: e.to_string() };
    let open = |partition: &Partition| {
        partition.open(Arc::clone(image)).map_err(|e| mismatch(format!("partition {}", partition.number), &e))
    };
    let boot = FatView::open(open(&layout.boot)?).map_err(|e| mismatch("the boot partition".into(), &e))?;
    let root =
        Ext4View::open(open(&layout.root)?).map_err(|e| mismatch("the root file system".into(), &e))?;
    for ((volume, path), expected) in expected {
        let compared = match volume {
            Volume::Boot => check_path(&boot, path, expected),
            Volume::Root => {
                check_path(&root, path, expected).and_then(|()| check_time(&root, path, expected, now))
            }
        };
        compared.map_err(|difference| Mismatch { path: format!("{path} ({volume:?})"), difference })?;
    }
    Ok(())
}

/// Reads the content of the large files among `expected` back.
pub(super) fn check_contents(
    image: &Arc<dyn ReadAt>,
    layout: &Layout,
    expected: &BTreeMap<(Volume, ImagePath), Expected>,
) -> Result<(), Mismatch> {
    let mismatch = |path: &ImagePath, difference: String| Mismatch { path: path.to_string(), difference };
    let root = layout.root.open(Arc::clone(image)).and_then(Ext4View::open);
    let root = root.map_err(|e| mismatch(&ImagePath::root(), e.to_string()))?;
    for ((_, path), expected) in expected {
        let Expected::Large { checksums, .. } = expected else { continue };
        let found = digest(&root, path, &mut |_| Ok(()));
        let found = found.map_err(|e| mismatch(path, e.to_string()))?;
        if found != checksums.sha256 {
            return Err(mismatch(path, other_digest(&found, &checksums.sha256)));
        }
    }
    Ok(())
}

fn other_digest(found: &Digest, wanted: &Digest) -> String {
    format!("its content has the SHA-256 {found}, not {wanted}")
}

/// The digest of a file, which is not held in memory. `seen` is told of each part that was read, and may end it.
fn digest(
    fs: &dyn FsRead,
    path: &ImagePath,
    seen: &mut dyn FnMut(u64) -> io::Result<()>,
) -> Result<Digest, fs::Error> {
    let mut hashing = Hashing { hasher: Hasher::default(), seen };
    fs.read(path, &mut hashing)?;
    Ok(hashing.hasher.finish())
}

/// Takes the digest of what is written to it.
struct Hashing<'a> {
    hasher: Hasher,
    seen: &'a mut dyn FnMut(u64) -> io::Result<()>,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.seen)(bytes.len() as u64)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first thing that is otherwise at `path` than `expected`. The content of what is large is not read.
fn check_path(fs: &dyn FsRead, path: &ImagePath, expected: &Expected) -> Result<(), String> {
    match differences(fs, path, expected, &mut |_| Ok(())) {
        Ok(found) => found.into_iter().next().map_or(Ok(()), Err),
        Err(error) => Err(error.to_string()),
    }
}

/// All that is otherwise at `path` than `expected`, in words that tell nothing of the content. `seen` is told how many
/// bytes of files known by their digest were read, and may end it.
pub(super) fn differences(
    fs: &dyn FsRead,
    path: &ImagePath,
    expected: &Expected,
    seen: &mut dyn FnMut(u64) -> io::Result<()>,
) -> Result<Vec<String>, fs::Error> {
    let found = match (expected, fs.metadata(path)?) {
        (Expected::Absent, None) => return Ok(Vec::new()),
        (Expected::Absent, Some(_)) => return Ok(vec!["it is still there".into()]),
        (_, None) => return Ok(vec![GONE.into()]),
        (_, Some(found)) => found,
    };
    let mut all = Vec::new();
    let access = match (expected, found.kind) {
        (Expected::File { content: wanted, access, .. }, FileKind::File) => {
            if found.len > SMALL {
                all.push(format!("it has {} bytes, not {}", found.len, wanted.len()));
            } else {
                all.extend(compare("content", wanted, &fs.content(path, SMALL)?));
            }
            Some(*access)
        }
        (Expected::Large { len, .. }, FileKind::File) => {
            if found.len != *len {
                all.push(format!("it has {} bytes, not {len}", found.len));
            }
            Some(SHARED)
        }
        (Expected::Known { sha256, access }, FileKind::File) => {
            if let Some(wanted) = sha256 {
                let digest = digest(fs, path, seen)?;
                all.extend((digest != *wanted).then(|| other_digest(&digest, wanted)));
            }
            *access
        }
        (Expected::Directory { access }, FileKind::Directory) => Some(*access),
        (Expected::Symlink { target }, FileKind::Symlink) => {
            return Ok(compare("target", target.as_bytes(), &fs.content(path, TARGET_MAX)?)
                .into_iter()
                .collect());
        }
        (_, kind) => return Ok(vec![format!("it is of another kind: {kind:?}")]),
    };
    all.extend(access.and_then(|wanted| other_access(&found, wanted)));
    Ok(all)
}

/// What is said of a path at which nothing is.
pub(super) const GONE: &str = "it is not there";

fn other_access(found: &Metadata, wanted: Access) -> Option<String> {
    let found = access_of(found)?;
    let shown = |Access { mode, uid, gid }: Access| format!("{mode:04o}, {uid}:{gid}");
    (found != wanted).then(|| format!("its mode and owner are {}, not {}", shown(found), shown(wanted)))
}

/// A file has the time at which it was baked, to the nanosecond.
fn check_time(fs: &Ext4View, path: &ImagePath, expected: &Expected, now: i64) -> Result<(), String> {
    if !matches!(expected, Expected::File { .. } | Expected::Large { .. }) {
        return Ok(());
    }
    let modified = fs.modified(path).map_err(|e| e.to_string())?;
    if modified != Some(Time { seconds: now, nanoseconds: 0 }) {
        return Err(format!("its time is {modified:?}, not {now}"));
    }
    Ok(())
}

fn compare(what: &str, wanted: &[u8], found: &[u8]) -> Option<String> {
    if wanted == found {
        return None;
    }
    let at = wanted.iter().zip(found).position(|(a, b)| a != b).unwrap_or(wanted.len().min(found.len()));
    let (found, wanted) = (found.len(), wanted.len());
    Some(format!("its {what} differs from byte {at} on ({found} bytes read, {wanted} written)"))
}
