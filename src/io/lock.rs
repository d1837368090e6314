//! One process at a time.
//!
//! The lock is an advisory flock(2) on a file of its own. The kernel drops it with the process that
//! holds it, however that ends. It is never taken on a directory of the user's: others lock those, too
//! (`flock . pibake build` is an ordinary line in a crontab), and would be waited for without end.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock};
use rustix::io::Errno;

use super::cancel::{CancelToken, POLL};
use super::folder::parent;
use super::ownership::give_new;
use crate::error::{Classified, ErrorClass};

/// The first pause before another look; it doubles up to [`POLL`]. A look never blocks in the kernel, where a
/// signal with a handler would not end the wait.
const FIRST: Duration = Duration::from_millis(5);
/// A wait shorter than this is not worth a word.
const QUIET: Duration = Duration::from_millis(50);

/// For its owner alone: whoever can open the file can lock it, and stop everybody else.
const MODE: u32 = 0o600;
/// How often a file that vanishes or appears between two system calls is looked at again at once.
const RACES: usize = 16;

/// Held until it is dropped, which also removes the file.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

/// Why a lock is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The one who asked no longer wants it.
    #[error("cancelled while another process held the lock {}", path.display())]
    Cancelled {
        /// The lock's file.
        path: PathBuf,
    },
    /// What is there under its name was put there by somebody else.
    #[error("the lock {} belongs to another user (uid {owner}): remove it, or work in a folder that only you can write to", path.display())]
    Foreign {
        /// The lock's file.
        path: PathBuf,
        /// Numeric owner.
        owner: u32,
    },
    /// What is there under its name is a link, a folder or a device.
    #[error("the lock {} is not a regular file: remove it", path.display())]
    NotPlain {
        /// The lock's file.
        path: PathBuf,
    },
    /// The file system has no locks.
    #[error("locking {}: its file system does not support locks; use a local disk", path.display())]
    Unsupported {
        /// The lock's file.
        path: PathBuf,
    },
    /// It cannot be made, opened or locked.
    #[error("opening the lock {}", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl Classified for LockError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Cancelled { .. } => ErrorClass::Cancelled,
            Self::Foreign { .. } | Self::NotPlain { .. } => ErrorClass::Refused,
            Self::Unsupported { .. } => ErrorClass::Failed,
            Self::Io { source, .. } => ErrorClass::of_io(source),
        }
    }
}

impl FileLock {
    /// Waits until nobody else holds the lock `path`, and takes it. `waits` is called once, if the
    /// wait is long enough to be noticed; `cancel` ends it.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn take(path: &Path, cancel: &CancelToken, waits: impl FnOnce()) -> Result<Self, LockError> {
        let (mut waits, mut pause, mut waited) = (Some(waits), FIRST, Duration::ZERO);
        loop {
            if cancel.is_cancelled() {
                return Err(LockError::Cancelled { path: path.to_owned() });
            }
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
            if waited >= QUIET
                && let Some(waits) = waits.take()
            {
                waits();
            }
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(POLL);
        }
    }

    /// Takes the lock `path` if nobody holds it.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn try_take(path: &Path) -> Result<Option<Self>, LockError> {
        for _ in 0..RACES {
            let Some(file) = open(path)? else { continue };
            match try_hold(&file) {
                // Its last holder may have removed it between the two calls: then it guards nothing.
                Ok(true) if is_at(&file, path) => return Ok(Some(Self { file, path: path.to_owned() })),
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(source) => {
                    let path = path.to_owned();
                    return Err(match Errno::from_io_error(&source) {
                        Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => {
                            LockError::Unsupported { path }
                        }
                        _ => LockError::Io { path, source },
                    });
                }
            }
        }
        // others take and let go of it all the time
        Ok(None)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While the lock is held nobody else removes the file, so what is there is this one or was put
        // there by somebody who does not follow the rules. One that stays is in nobody's way.
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Locks an open file of any kind if nobody has it locked; whether it is now. It is let go with the
/// file's last descriptor.
///
/// # Errors
/// What flock(2) answers, also where the file system has no locks.
pub fn try_hold(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Whether `path` itself (no link) is this open file.
fn is_at(file: &File, path: &Path) -> bool {
    let named = std::fs::symlink_metadata(path);
    named.is_ok_and(|named| file.metadata().is_ok_and(|file| same(&named, &file)))
}

/// Whether two files are one.
#[must_use]
pub fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Opens the lock's file or makes it; `None` where it came or went in between.
fn open(path: &Path) -> Result<Option<File>, LockError> {
    let failed = |source| LockError::Io { path: path.to_owned(), source };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE).custom_flags(flags);
    match options.open(path) {
        Ok(file) => found(file, path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match options.create_new(true).open(path) {
            Ok(file) => {
                belongs_to_the_folders_owner(&file, path);
                Ok(Some(file))
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(failed(e)),
        },
        Err(e) => match std::fs::symlink_metadata(path) {
            Ok(m) if !m.is_file() => Err(LockError::NotPlain { path: path.to_owned() }),
            Ok(m) if !is_trusted(&m, path) => {
                Err(LockError::Foreign { path: path.to_owned(), owner: m.uid() })
            }
            _ => Err(failed(e)),
        },
    }
}

/// A file that was there already: one that others could hold is theirs to stop us with.
fn found(file: File, path: &Path) -> Result<Option<File>, LockError> {
    let found = file.metadata().map_err(|source| LockError::Io { path: path.to_owned(), source })?;
    if !found.is_file() {
        return Err(LockError::NotPlain { path: path.to_owned() });
    }
    if !is_trusted(&found, path) {
        return Err(LockError::Foreign { path: path.to_owned(), owner: found.uid() });
    }
    if found.mode() & 0o077 != 0 {
        // Where modes are not kept (exFAT) it stays as it is.
        let _ = fchmod(&file, Mode::from_raw_mode(MODE));
    }
    Ok(Some(file))
}

/// Ours, root's, or of the folder's owner, who could keep us out in other ways.
fn is_trusted(found: &Metadata, path: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let owner = || std::fs::metadata(parent(path)).map(|m| m.uid());
    found.uid() == me || found.uid() == 0 || owner().is_ok_and(|owner| owner == found.uid())
}

/// What root makes in a user's folder must not lock that user out if root is killed.
fn belongs_to_the_folders_owner(file: &File, path: &Path) {
    // Refused on file systems that keep no owners: there nobody is locked out either.
    let _ = give_new(file, parent(path));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn taken(path: &Path) -> FileLock {
        FileLock::take(path, &CancelToken::default(), || {}).unwrap()
    }

    #[test]
    fn one_holder_at_a_time_and_no_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let first = taken(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(FileLock::try_take(&path).unwrap().is_none());
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || taken(&path)
        });
        drop(first);
        let second = waiting.join().unwrap();
        assert!(FileLock::try_take(&path).unwrap().is_none());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_wait_says_so_once_and_ends_when_it_is_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let _held = taken(&path);
        let cancel = CancelToken::default();
        let said = Arc::new(AtomicUsize::new(0));
        let waiting = std::thread::spawn({
            let (path, cancel, said) = (path.clone(), cancel.clone(), Arc::clone(&said));
            move || {
                FileLock::take(&path, &cancel, || {
                    said.fetch_add(1, Ordering::SeqCst);
                })
            }
        });
        while said.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        cancel.cancel();
        assert!(matches!(waiting.join().unwrap(), Err(LockError::Cancelled { .. })));
        assert_eq!(said.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn many_that_take_turns_never_hold_it_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = taken(&path);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn the_folder_may_be_locked_by_whoever_calls() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        assert!(try_hold(&folder).unwrap());
        drop(taken(&dir.path().join("x.lock")));
    }

    #[test]
    fn links_and_folders_are_refused_and_a_wide_mode_is_narrowed() {
        let dir = tempfile::tempdir().unwrap();
        let [link, folder, wide] = ["link", "folder", "wide"].map(|name| dir.path().join(name));
        std::os::unix::fs::symlink(dir.path().join("target"), &link).unwrap();
        std::fs::create_dir(&folder).unwrap();
        for path in [&link, &folder] {
            assert!(matches!(FileLock::try_take(path), Err(LockError::NotPlain { .. })), "{path:?}");
        }
        assert!(!dir.path().join("target").exists());
        std::fs::write(&wide, "").unwrap();
        std::fs::set_permissions(&wide, std::fs::Permissions::from_mode(0o666)).unwrap();
        let _lock = taken(&wide);
        assert_eq!(std::fs::metadata(&wide).unwrap().mode() & 0o777, 0o600);
    }
}
