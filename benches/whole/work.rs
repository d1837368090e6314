//! Where the benchmark works: below the user's cache, where the made bases stay for the next time.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::base::{self, Base};

/// The folder, the bases in it, and how often each measure is taken.
pub struct Work {
    dir: PathBuf,
    pub rounds: usize,
    large: OnceCell<Base>,
    small: OnceCell<Base>,
}

impl Work {
    pub fn new(rounds: usize) -> Self {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
        let cache = cache.unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").expect("HOME or XDG_CACHE_HOME")).join(".cache")
        });
        let dir = cache.join("pibake-bench");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        Self { dir, rounds, large: OnceCell::new(), small: OnceCell::new() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The base of 3.3 GiB with 2 GiB in use.
    pub fn large(&self) -> &Base {
        self.large.get_or_init(|| Base::get(&self.dir, &base::LARGE))
    }

    /// A base of 1 GiB.
    pub fn small(&self) -> &Base {
        self.small.get_or_init(|| Base::get(&self.dir, &base::SMALL))
    }

    /// A new empty folder, removed when dropped.
    pub fn scratch(&self) -> tempfile::TempDir {
        tempfile::Builder::new().prefix("run-").tempdir_in(&self.dir).expect("a scratch folder")
    }
}

/// Empties a folder and waits until the disk has heard of it, so that no run pays for another's.
pub fn clear(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    }
    fs::create_dir_all(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let open = fs::File::open(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    rustix::fs::syncfs(open).expect("syncfs");
}
