//! Where large files are that nobody wants to keep after the run: cards of an emulator, unpacked images.

use std::path::Path;

use tempfile::TempDir;

use super::Control;
use crate::error::{Doing, ErrorClass, Failure};
use crate::io::FileLock;

/// A folder that is thrown away: removed when dropped, or by the next run.
pub struct Scratch {
    dir: TempDir,
    _lock: FileLock,
}

impl Scratch {
    /// Makes one in the folder `above`, and removes those that killed runs left there.
    ///
    /// # Errors
    /// What making it answers, or that the run was cancelled while it waited for another one.
    pub fn new(above: &Path, control: &Control) -> Result<Self, Failure> {
        let making = || format!("making a folder in {}", above.display());
        private_dir(above).doing(making)?;
        // while it is held nobody else makes a folder, so one without a holder is a remnant
        let waits = || {
            let above = above.display();
            control.progress().wait(&format!(
                "another pibake is making a folder in {above}; waiting for it (Ctrl-C cancels)"
            ));
        };
        let _all = FileLock::take(&above.join("lock"), control.cancel(), waits).doing(making)?;
        for entry in std::fs::read_dir(above).doing(making)?.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() && matches!(FileLock::try_take(&path.join("lock")), Ok(Some(_))) {
                // a remnant that cannot be removed is in nobody's way
                let _ = std::fs::remove_dir_all(&path);
            }
        }
        let dir = tempfile::Builder::new().prefix("run-").tempdir_in(above).doing(making)?;
        let lock = FileLock::try_take(&dir.path().join("lock")).doing(making)?;
        // the folder is new, and its name nobody's but this run's
        let taken = || Failure::new(ErrorClass::Internal, "somebody else has locked the new folder");
        let lock = lock.ok_or_else(taken)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Makes a folder that its owner alone may enter: a card holds the cluster's secrets.
///
/// # Errors
/// What making it answers.
pub fn private_dir(path: &Path) -> Result<(), Failure> {
    let made = crate::io::folder::make_folders(path, 0o700);
    made.doing(|| format!("making the folder {}", path.display()))
}
