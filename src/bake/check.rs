//! Reads back what a bake wrote, through readers that share no code with what writes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::error::{Error, Mismatch};

use crate::catalog::{Digest, Hasher};
use crate::disk::{self, Partition, ReadAt};
use crate::fs::ext4::{Ext4View, Superblock, Time};
use crate::fs::fat::FatView;
use crate::fs::layout::Layout;
use crate::fs::{FileKind, FsRead};
use crate::image_path::ImagePath;
use crate::recipe::{Access, Change, Recipe, Volume};

/// The mode of files that several nodes share.
pub const SHARED_MODE: u16 = 0o644;

const SHARED: Access = Access::root(SHARED_MODE);

/// What must be true of a path when all is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// A regular file.
    File { content: Vec<u8>, access: Access },
    /// A regular file that is too large to be held in memory; everybody may read it.
    Large { digest: Digest, len: u64 },
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

/// Whether `image` has the two partitions, and a root file system of `root_len` bytes.
pub(super) fn check_size(image: &Arc<dyn ReadAt>, layout: &Layout, root_len: u64) -> Result<(), Mismatch> {
    let mismatch = |path: &str, difference: String| Mismatch { path: path.to_owned(), difference };
    let on_table = |difference| mismatch("the partition table", difference);
    let (_, found) = disk::partitions(image).map_err(|e| on_table(e.to_string()))?;
    for Partition { number, offset, len, .. } in [&layout.boot, &layout.root] {
        if !found.iter().any(|p| (p.number, p.offset, p.len) == (*number, *offset, *len)) {
            let difference = format!("partition {number} is not the {len} bytes from byte {offset} on");
            return Err(on_table(difference));
        }
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
        let Expected::Large { digest, .. } = expected else { continue };
        let mut hasher = Hashing(Hasher::default());
        root.read(path, &mut hasher).map_err(|e| mismatch(path, e.to_string()))?;
        let found = hasher.0.finish();
        if found != *digest {
            return Err(mismatch(path, format!("its content has the SHA-256 {found}, not {digest}")));
        }
    }
    Ok(())
}

/// Takes the digest of what is written to it.
struct Hashing(Hasher);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check_path(fs: &dyn FsRead, path: &ImagePath, expected: &Expected) -> Result<(), String> {
    let found = match (expected, fs.metadata(path).map_err(|e| e.to_string())?) {
        (Expected::Absent, None) => return Ok(()),
        (Expected::Absent, Some(_)) => return Err("it is still there".into()),
        (_, None) => return Err("it is not there".into()),
        (_, Some(found)) => found,
    };
    let content = || fs.content(path).map_err(|e| e.to_string());
    let access = match (expected, found.kind) {
        (Expected::File { content: wanted, access }, FileKind::File) => {
            compare("content", wanted, &content()?)?;
            access
        }
        (Expected::Large { len, .. }, FileKind::File) => {
            if found.len != *len {
                return Err(format!("it has {} bytes, not {len}", found.len));
            }
            &SHARED
        }
        (Expected::Directory { access }, FileKind::Directory) => access,
        (Expected::Symlink { target }, FileKind::Symlink) => {
            return compare("target", target.as_bytes(), &content()?);
        }
        (_, kind) => return Err(format!("it is of another kind: {kind:?}")),
    };
    // FAT keeps none
    let read = found.attributes.map(|a| Access { mode: a.mode, uid: a.uid, gid: a.gid });
    if read.is_some_and(|read| read != *access) {
        return Err(format!("mode and owner are {read:?}, not {access:?}"));
    }
    Ok(())
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

fn compare(what: &str, wanted: &[u8], found: &[u8]) -> Result<(), String> {
    if wanted == found {
        return Ok(());
    }
    let at = wanted.iter().zip(found).position(|(a, b)| a != b).unwrap_or(wanted.len().min(found.len()));
    Err(format!(
        "its {what} differs from byte {at} on ({} bytes read, {} written)",
        found.len(),
        wanted.len()
    ))
}
