//! A file that is not yet under its name, and the remains of runs that were killed.
//!
//! While a file is written, its writer holds an advisory lock (flock) on it. The kernel drops the
//! lock when the process dies, however it dies: a temporary file that can be locked is a remnant.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

use super::Format;
use crate::io::lock::{is_at, try_hold};

const RANDOM_CHARACTERS: usize = 8;
const SUFFIX: &str = ".tmp";

/// A new file in the folder of its final name, locked; removed when dropped.
pub(super) struct Temp {
    file: NamedTempFile,
    target: PathBuf,
}

impl Temp {
    /// Makes a file that is to become `name` in `dir`. Only its owner may read it: an image holds
    /// the cluster's secrets.
    pub(super) fn new(dir: &Path, name: &str) -> io::Result<Self> {
        // A cleaner may take the file in the moment between its making and its locking.
        for _ in 0..100 {
            let file = tempfile::Builder::new()
                .prefix(&format!(".{name}."))
                .rand_bytes(RANDOM_CHARACTERS)
                .suffix(SUFFIX)
                .tempfile_in(dir)?;
            crate::io::ownership::give_new(file.as_file(), dir)?;
            match try_hold(file.as_file()) {
                Ok(true) if is_at(file.as_file(), file.path()) => {}
                Ok(_) => continue,
                // No locks on this file system: nobody will take the file for a remnant either,
                // for that takes a lock.
                Err(_) => {}
            }
            return Ok(Self { file, target: dir.join(name) });
        }
        Err(io::Error::other("another process keeps removing the temporary files made here"))
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Puts the file under its final name, durably: first its bytes, then the name.
    pub(super) fn keep(self) -> io::Result<File> {
        self.file.as_file().sync_all()?;
        let file = self.file.persist(&self.target).map_err(|e| e.error)?;
        if let Some(dir) = self.target.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(file)
    }
}

/// Removes what killed runs left in `dir`; files that a living process still writes stay.
pub(super) fn remove_remnants(dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(is_temporary_name);
        if is_ours && entry.file_type()?.is_file() && remove_if_abandoned(&entry.path()) {
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_temporary_name(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(SUFFIX));
    let Some((image, random)) = inner.and_then(|inner| inner.rsplit_once('.')) else {
        return false;
    };
    random.len() == RANDOM_CHARACTERS
        && random.bytes().all(|b| b.is_ascii_alphanumeric())
        && Format::ALL.iter().any(|format| {
            image.strip_suffix(format.extension()).is_some_and(|node| node.len() > 1 && node.ends_with('.'))
        })
}

/// A file that cannot be opened, locked or removed is left alone: it may not be ours.
fn remove_if_abandoned(path: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else {
        return false;
    };
    try_hold(&file).is_ok_and(|held| held) && is_at(&file, path) && std::fs::remove_file(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_build_makes_are_taken_for_remnants() {
        for name in [".node-1.img.aB3dE6gH.tmp", ".n.qcow2.00000000.tmp", ".a.b.img.zst.abcdefgh.tmp"] {
            assert!(is_temporary_name(name), "{name}");
        }
        for name in [
            "node-1.img.aB3dE6gH.tmp",
            ".node-1.img.aB3dE6gH",
            ".node-1.img.aB3dE6g.tmp",
            ".node-1.img.aB3dE6g-.tmp",
            ".node-1.txt.aB3dE6gH.tmp",
            ".img.aB3dE6gH.tmp",
            "..img.aB3dE6gH.tmp",
            ".tmp",
        ] {
            assert!(!is_temporary_name(name), "{name}");
        }
    }

    #[test]
    fn remnants_go_and_files_being_written_stay() {
        let dir = tempfile::tempdir().unwrap();
        let living = Temp::new(dir.path(), "node-1.img").unwrap();
        let remnant = dir.path().join(".node-2.img.aB3dE6gH.tmp");
        std::fs::write(&remnant, b"half").unwrap();
        let foreign = dir.path().join(".node-2.img.swp");
        std::fs::write(&foreign, b"mine").unwrap();
        assert_eq!(remove_remnants(dir.path()).unwrap(), 1);
        assert!(!remnant.exists());
        assert!(foreign.exists());
        assert!(living.file.path().exists());
        living.keep().unwrap();
        assert!(dir.path().join("node-1.img").exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_not_kept_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        drop(Temp::new(dir.path(), "node-1.img").unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
