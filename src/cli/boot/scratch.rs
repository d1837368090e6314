//! Where cards are while they run, if nobody wants to keep them.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context;
use rustix::fs::FlockOperation;
use tempfile::TempDir;

use super::prepare::private_dir;

/// A folder for cards that are thrown away: removed when dropped, or by the next run.
pub(super) struct Scratch {
    dir: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one in the folder `above`, and removes those that killed runs left there.
    pub(super) fn new(above: &Path) -> anyhow::Result<Self> {
        let making = || format!("making a folder for cards in {}", above.display());
        private_dir(above).with_context(making)?;
        // while it is held nobody else makes a folder, so one without a holder is a remnant
        let _all = lock(&above.join("lock")).with_context(making)?;
        for entry in std::fs::read_dir(above).with_context(making)?.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() && lock_now(&path.join("lock")).is_some() {
                // a remnant that cannot be removed is in nobody's way
                let _ = std::fs::remove_dir_all(&path);
            }
        }
        let dir = tempfile::Builder::new().prefix("run-").tempdir_in(above).with_context(making)?;
        let lock = lock_now(&dir.path().join("lock")).with_context(making)?;
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Locks a file if nobody has it locked.
fn lock_now(path: &Path) -> Option<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| file)
}
