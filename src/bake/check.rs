//! Reads back what a bake wrote, through readers that share no code with the editors.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::{BlockDevice, Patched};
use crate::fs::fat::FatView;
use crate::fs::layout::Layout;
use crate::image_path::ImagePath;
use crate::recipe::{Access, Volume};

/// What must be true of a path when all is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A regular file.
    File { content: Vec<u8>, access: Access },
    /// A directory.
    Directory { access: Access },
    /// A symbolic link.
    Symlink { target: String },
    /// Nothing.
    Absent,
}

/// A path that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {path} back: {difference}")]
pub struct Mismatch {
    /// The path, with its partition.
    pub path: String,
    /// What was found, and what should have been.
    pub difference: String,
}

/// Compares every path in `expected` with what `image` holds.
pub fn check(
    image: &Arc<Patched<Arc<dyn BlockDevice>>>,
    layout: &Layout,
    expected: &BTreeMap<(Volume, ImagePath), Expected>,
) -> Result<(), Mismatch> {
    let mismatch = |path: String, e: &dyn std::fmt::Display| Mismatch { path, difference: e.to_string() };
    let open = |partition: &crate::disk::Partition| {
        partition.open(Arc::clone(image)).map_err(|e| mismatch(format!("partition {}", partition.number), &e))
    };
    let boot = FatView::open(open(&layout.boot)?).map_err(|e| mismatch("the boot partition".into(), &e))?;
    let root = ext4_view::Ext4::load(Box::new(Reader(open(&layout.root)?)))
        .map_err(|e| mismatch("the root file system".into(), &e))?;
    for ((volume, path), expected) in expected {
        let compared = match volume {
            Volume::Boot => check_boot(&boot, path, expected),
            Volume::Root => check_root(&root, path, expected),
        };
        compared.map_err(|difference| Mismatch { path: format!("{path} ({volume:?})"), difference })?;
    }
    Ok(())
}

fn check_boot<D: BlockDevice>(fat: &FatView<D>, path: &ImagePath, expected: &Expected) -> Result<(), String> {
    let found = fat.read(path).map_err(|e| e.to_string())?;
    match (expected, found) {
        (Expected::File { content, .. }, Some(found)) => compare("content", content, &found),
        (Expected::Absent, None) => Ok(()),
        (Expected::Absent, Some(_)) => Err("it is still there".into()),
        (_, None) => Err("it is not there".into()),
        (Expected::Directory { .. } | Expected::Symlink { .. }, Some(_)) => Err("it is a file".into()),
    }
}

fn check_root(fs: &ext4_view::Ext4, path: &ImagePath, expected: &Expected) -> Result<(), String> {
    let found = match fs.symlink_metadata(path.as_str()) {
        Ok(found) => Some(found),
        Err(ext4_view::Ext4Error::NotFound) => None,
        Err(e) => return Err(e.to_string()),
    };
    let found = match (expected, found) {
        (Expected::Absent, None) => return Ok(()),
        (Expected::Absent, Some(_)) => return Err("it is still there".into()),
        (_, None) => return Err("it is not there".into()),
        (_, Some(found)) => found,
    };
    let access = match expected {
        Expected::File { content, access } => {
            if !found.file_type().is_regular_file() {
                return Err("it is not a regular file".into());
            }
            compare("content", content, &fs.read(path.as_str()).map_err(|e| e.to_string())?)?;
            access
        }
        Expected::Directory { access } => {
            if !found.is_dir() {
                return Err("it is not a directory".into());
            }
            access
        }
        Expected::Symlink { target } => {
            let link = fs.read_link(path.as_str()).map_err(|e| e.to_string())?;
            return compare("target", target.as_bytes(), link.as_ref());
        }
        Expected::Absent => return Ok(()),
    };
    let read = Access { mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() };
    if read != *access {
        return Err(format!(
            "mode and owner are {:o} {}:{}, not {:o} {}:{}",
            read.mode, read.uid, read.gid, access.mode, access.uid, access.gid
        ));
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

/// A device as `ext4-view` wants it.
struct Reader<D>(D);

impl<D: BlockDevice> ext4_view::Ext4Read for Reader<D> {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(self.0.read_at(start_byte, dst)?)
    }
}
