//! Where the benchmark works: below the user's cache, where the made bases stay for the next time.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::base::{self, Base};
use crate::{limits, loops};

/// How the folders of runs are called.
const RUN: &str = "run-";

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
        sweep(&dir);
        Self { dir, rounds, large: OnceCell::new(), small: OnceCell::new() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The base of 3.3 GiB with 2 GiB in use.
    pub fn large(&self) -> &Base {
        self.large.get_or_init(|| Base::get(self, &base::LARGE))
    }

    /// A base of 1 GiB.
    pub fn small(&self) -> &Base {
        self.small.get_or_init(|| Base::get(self, &base::SMALL))
    }

    /// A new empty folder, removed when dropped.
    pub fn scratch(&self) -> Scratch {
        let dir = tempfile::Builder::new().prefix(RUN).tempdir_in(&self.dir).expect("a scratch folder");
        let lock = File::open(dir.path()).expect("the scratch folder");
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .expect("the scratch folder for this run alone");
        Scratch { dir, _lock: lock }
    }
}

/// A folder of one run. As long as the run lives, the folder is locked.
pub struct Scratch {
    // removed first, and only then anybody's
    dir: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes what a run left that was killed: it could not do so itself.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(RUN) {
            continue;
        }
        let Ok(lock) = File::open(&path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            // another run is at it
            continue;
        }
        eprintln!("removing {}, which a run left that was killed", path.display());
        loops::detach_below(&path);
        limits::remove_of(&path);
        if let Err(e) = fs::remove_dir_all(&path) {
            eprintln!("{}: {e}", path.display());
        }
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
