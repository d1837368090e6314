//! Files that are whole under their name or not there, and the remains of runs that were killed.
//!
//! While a file is written it has a temporary name in the folder of its final one, and its writer holds an
//! advisory lock (flock) on it. The kernel drops the lock when the process dies, however it dies: a temporary
//! file that can be locked is a remnant.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::folder::parent;
use super::lock::try_hold;
use super::{Direct, Folder, Owner};

/// Random characters in a temporary name, so that no two writers share one.
const RANDOM_CHARACTERS: usize = 8;
const SUFFIX: &str = ".tmp";

/// A new file in the folder of its final name, locked; removed when dropped.
pub(crate) struct AtomicFile {
    folder: Folder,
    file: File,
    temporary: OsString,
    target: OsString,
    direct: Direct,
}

impl AtomicFile {
    /// Makes a file that is to become `name` in `folder`, with this mode less the umask, for `owner` or whoever
    /// runs.
    pub(super) fn new(folder: Folder, name: &OsStr, mode: u32, owner: Option<Owner>) -> io::Result<Self> {
        // A cleaner may take the file in the moment between its making and its locking.
        for _ in 0..100 {
            let temporary = temporary_name(name)?;
            let file = match folder.create(&temporary, mode, owner) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            let (folder, target) = (folder.try_clone()?, name.to_owned());
            let made = Self { folder, file, temporary, target, direct: Direct::default() };
            match try_hold(&made.file) {
                Ok(true) if made.is_there() => {}
                Ok(_) => continue,
                // No locks on this file system: nobody will take the file for a remnant either,
                // for that takes a lock.
                Err(_) => {}
            }
            return Ok(made);
        }
        Err(io::Error::other("another process keeps removing the temporary files made here"))
    }

    /// Makes a file that is to become `name` in `dir`. Only its owner, whom new files there belong to, may read
    /// it: it may hold a cluster's secrets.
    pub(crate) fn within(dir: &Path, name: impl AsRef<OsStr>) -> io::Result<Self> {
        Self::new(Folder::open(dir)?, name.as_ref(), 0o600, Owner::of_new_in(dir))
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Writes `bytes` at `offset`, past the page cache if they are aligned and the file system takes that.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.direct.write(&self.file, offset, bytes)
    }

    /// Writes `bytes` at `offset` through the page cache: what is small or not aligned.
    pub(crate) fn write_cached(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.direct.write_cached(&self.file, offset, bytes)
    }

    /// Puts the file under its final name, durably: first its bytes, then the name.
    pub(crate) fn keep(self) -> io::Result<File> {
        self.file.sync_all()?;
        self.folder.rename(&self.temporary, &self.target)?;
        self.folder.sync()?;
        self.file.try_clone()
    }

    /// Puts the file under its final name, and waits for no disk: after a loss of power the old one may be there, or
    /// none, or a damaged one. For what is made again then.
    fn keep_for_now(&self) -> io::Result<()> {
        self.folder.rename(&self.temporary, &self.target)
    }

    /// The same under another name in the folder.
    pub(crate) fn keep_as(mut self, name: impl Into<OsString>) -> io::Result<File> {
        self.target = name.into();
        self.keep()
    }

    /// Whether what has the temporary name is this file.
    fn is_there(&self) -> bool {
        self.folder.holds(&self.temporary, &self.file)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // not one that was kept, or that somebody put there when it was
        if self.is_there() {
            let _ = self.folder.remove_file(&self.temporary);
        }
    }
}

impl Folder {
    /// Gives the file `name` this content at once: it has the old or the new one, whatever happens.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn replace(&self, name: &str, content: &[u8], mode: u32, owner: Option<Owner>) -> io::Result<()> {
        let fresh = AtomicFile::new(self.try_clone()?, name.as_ref(), mode, owner)?;
        fresh.file().write_all(content)?;
        fresh.keep().map(drop)
    }
}

/// Gives the file at `path` this content: the old or the new one is there, whatever happens. Only its owner may
/// read it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    written(path, content)?.keep().map(drop)
}

/// The same, but that a loss of power may leave the old content, none, or a damaged one: for notes that are made again.
pub(crate) fn write_note(path: &Path, content: &[u8]) -> io::Result<()> {
    written(path, content)?.keep_for_now()
}

/// A file with this content that is to become the one at `path`.
fn written(path: &Path, content: &[u8]) -> io::Result<AtomicFile> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut file = AtomicFile::within(parent(path), name)?;
    file.file.write_all(content)?;
    Ok(file)
}

/// Removes what killed runs left in `folder` of files whose final names are `ours`; what a living process still
/// writes stays. The number of files that went.
pub(crate) fn remove_remnants(folder: &Folder, ours: impl Fn(&str) -> bool) -> io::Result<usize> {
    let names = folder.names()?;
    let is_ours = |name: &&OsString| name.to_str().and_then(final_name).is_some_and(&ours);
    // A file that cannot be opened, locked or removed is left alone: it may not be ours.
    let gone = names.iter().filter(is_ours).filter(|name| {
        folder.file(name).is_ok_and(|file| {
            file.metadata().is_ok_and(|found| found.is_file())
                && try_hold(&file).is_ok_and(|held| held)
                && folder.holds(name, &file)
                && folder.remove_file(name).is_ok()
        })
    });
    Ok(gone.count())
}

/// Whether a file of this name is one that is still written, or a remnant of one.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    name.to_str().and_then(final_name).is_some()
}

fn temporary_name(name: &OsStr) -> io::Result<OsString> {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:01$x}{SUFFIX}", getrandom::u32()?, RANDOM_CHARACTERS));
    Ok(temporary)
}

/// The name that a file with this temporary name was to get.
fn final_name(temporary: &str) -> Option<&str> {
    let inner = temporary.strip_prefix('.')?.strip_suffix(SUFFIX)?;
    let (name, random) = inner.rsplit_once('.')?;
    let is_random = random.len() == RANDOM_CHARACTERS && random.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_random && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_tells_the_final_one_and_no_other_name_does() {
        for name in ["node-1.img", "n", "a.b.img.zst"] {
            let temporary = temporary_name(name.as_ref()).unwrap();
            assert_eq!(final_name(temporary.to_str().unwrap()), Some(name));
        }
        assert_eq!(final_name(".n.img.aB3dE6gH.tmp"), Some("n.img"));
        for name in [
            "n.img.aB3dE6gH.tmp",
            ".n.aB3dE6gH",
            ".n.aB3dE6g.tmp",
            ".n.aB3dE6g-.tmp",
            "..aB3dE6gH.tmp",
            ".tmp",
        ] {
            assert_eq!(final_name(name), None, "{name}");
        }
    }

    #[test]
    fn remnants_go_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let living = AtomicFile::within(dir.path(), "node-1.img").unwrap();
        for name in [".node-2.img.aB3dE6gH.tmp", ".node-2.img.swp", ".notes.aB3dE6gH.tmp"] {
            std::fs::write(dir.path().join(name), b"half").unwrap();
        }
        std::os::unix::fs::symlink("node-1.img", dir.path().join(".n.img.aB3dE6gH.tmp")).unwrap();
        assert_eq!(remove_remnants(&folder, |name| name.ends_with(".img")).unwrap(), 1);
        assert!(living.is_there());
        living.keep().unwrap();
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, [".n.img.aB3dE6gH.tmp", ".node-2.img.swp", ".notes.aB3dE6gH.tmp", "node-1.img"]);
    }

    #[test]
    fn what_is_not_kept_is_removed_and_what_is_replaces_the_old() {
        let dir = tempfile::tempdir().unwrap();
        drop(AtomicFile::within(dir.path(), "x").unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        // two writers at once: each has a file of its own, and the last one wins whole
        let [mut first, mut second] = [(); 2].map(|()| AtomicFile::within(dir.path(), "x").unwrap());
        first.file.write_all(b"first").unwrap();
        second.file.write_all(b"second").unwrap();
        second.keep().unwrap();
        first.keep().unwrap();
        assert_eq!(std::fs::read(dir.path().join("x")).unwrap(), b"first");
        write_whole(&dir.path().join("x"), b"third").unwrap();
        assert_eq!(std::fs::read(dir.path().join("x")).unwrap(), b"third");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
