//! Clearing away what nobody needs any more.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Cache;
use crate::base::{Error, Result};
use crate::io::atomic::remove_remnants;
use crate::io::{FileLock, Folder};

/// A download that nobody took up again for this long is given up.
const PART_IS_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

impl Cache {
    /// Clears away what killed processes left. What somebody works on is locked and stays.
    pub(crate) fn sweep(&self) -> Result<()> {
        for name in self.names("images") {
            let path = self.images().join(&name);
            if let Some(key) = name.strip_suffix(".img")
                && !path.with_extension("json").exists()
            {
                // asked again under the lock: its entry may have been written in between
                self.remove_unlocked(key, || {
                    if !path.with_extension("json").exists() {
                        drop(std::fs::remove_file(&path));
                    }
                })?;
            }
        }
        for name in self.names("downloads") {
            if let Some(key) = name.strip_suffix(".part")
                && is_older(&self.dir().join("downloads").join(&name), PART_IS_KEPT)
            {
                self.remove_unlocked(key, || self.place(key).clear())?;
            }
        }
        for sub in ["images", "files", "downloads", "evidence", "notes", "."] {
            let dir = self.dir().join(sub);
            Folder::open(&dir)
                .and_then(|folder| remove_remnants(&folder, |_| true))
                .map_err(|e| Error::io("clearing away what ended processes left in", &dir, e))?;
        }
        Ok(())
    }

    fn remove_unlocked(&self, key: &str, remove: impl FnOnce()) -> Result<()> {
        if let Some(_lock) = FileLock::try_take(&self.lock_path(key))? {
            tracing::info!(key, "clearing away what an ended process left");
            remove();
        }
        Ok(())
    }
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let now = SystemTime::now();
    modified.and_then(|m| now.duration_since(m).ok()).is_some_and(|a| a > age)
}
