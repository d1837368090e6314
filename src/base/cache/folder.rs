//! The folder where images are kept between runs.
//!
//! ```text
//! images/<digest>.img          a raw image, sparse; <digest> is that of the file as published
//! images/<digest>.json         vouches for it: written last, removed first
//! files/<digest>               a file that has this digest: a package, an index, a part of a container image, and
//!                              what a lock names: a repository's verified list, a key
//! downloads/<key>.part[.json]  a download under way, and which version of which address it is
//! evidence/<key>.sums, .gpg    lists of digests and their signatures, checked again each time
//! notes/                       digests of local files, by size, times and inode
//! locks/<key>.lock             whoever works on <key> holds it
//! .<name>.<random>.tmp         what is to become <name>, in its folder, locked by whoever writes it
//! ```
//! A key is a digest where that is known, and else stands for an address or a path.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::memo::Memos;
use super::{files, guard};
use crate::base::{Digest, Error, Result};
use crate::http::{Place, space};
use crate::io::folder::make_folders;
use crate::io::{Folder, Owner, ownership};

/// The folders in it.
const SUBS: [&str; 6] = ["images", "files", "downloads", "evidence", "notes", "locks"];
/// File systems take the time from a clock that steps.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// Marks the folder for backup programs: <https://bford.info/cachedir/>.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of pibake.\n";

/// Images that were obtained before.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    /// What is younger was made by this process, or while it ran.
    opened: SystemTime,
    /// Another one, from which is copied what is missing here.
    source: Option<Arc<Cache>>,
}

impl Cache {
    /// Where the cache is by the XDG rules: `$XDG_CACHE_HOME/pibake`, or `~/.cache/pibake` where that
    /// is not set or not absolute.
    ///
    /// # Errors
    /// [`Error::NoCacheDir`] where `HOME` does not help either.
    pub fn default_dir() -> Result<PathBuf> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        absolute("XDG_CACHE_HOME")
            .or_else(|| ownership::home().or_else(|| absolute("HOME")).map(|home| home.join(".cache")))
            .map(|dir| dir.join("pibake"))
            .ok_or(Error::NoCacheDir)
    }

    /// Opens the cache in `dir` and creates it where it is not there.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be created; [`Error::Writable`] and [`Error::NotOurs`] where others
    /// could change what is in it.
    pub fn open(dir: &Path) -> Result<Self> {
        let cache = Self {
            dir: std::path::absolute(dir).map_err(|e| Error::io("opening the cache", dir, e))?,
            opened: SystemTime::now() - CLOCK_STEP,
            source: None,
        };
        // The folder itself first: below one of another user's, nothing can be looked at.
        for path in [cache.dir.clone()].into_iter().chain(SUBS.map(|sub| cache.dir.join(sub))) {
            // 0700 as the XDG rules have it
            make_folders(&path, 0o700)
                .map_err(|e| Error::io("creating the cache (XDG_CACHE_HOME says where)", &path, e))?;
            let found = std::fs::metadata(&path).map_err(|e| Error::io("examining", &path, e))?;
            guard::check(&path, &found, &cache.dir)?;
        }
        let tag = cache.dir.join("CACHEDIR.TAG");
        if !tag.exists() {
            files::write_whole(&tag, TAG.as_bytes())?;
        }
        cache.hand_over()?;
        Ok(cache)
    }

    /// The same, where what is missing is copied from `source` before it is fetched.
    #[must_use]
    pub fn copying_from(self, source: Self) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    pub(super) fn source(&self) -> Option<&Self> {
        self.source.as_deref()
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file without a name, for `len` bytes that nobody needs after this run.
    ///
    /// # Errors
    /// [`Error::Http`] where there is no space for them; [`Error::Io`].
    pub fn scratch(&self, len: u64) -> Result<File> {
        space::check(&self.dir, len)?;
        tempfile::tempfile_in(&self.dir).map_err(|e| Error::io("creating a file in", &self.dir, e))
    }

    /// Gives what root made in it to the user whose cache it is.
    pub(crate) fn hand_over(&self) -> Result<()> {
        let Some(owner) = Owner::of_new_in(&self.dir) else { return Ok(()) };
        let given = Folder::open(&self.dir).and_then(|folder| folder.hand_over(owner, self.opened));
        given.map_err(|e| Error::io("giving to its owner", &self.dir, e))
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.dir.join("images")
    }

    pub(crate) fn file(&self, digest: &Digest) -> PathBuf {
        self.dir.join("files").join(digest.to_string())
    }

    pub(crate) fn evidence(&self) -> PathBuf {
        self.dir.join("evidence")
    }

    pub(crate) fn place(&self, key: &str) -> Place {
        Place::new(&self.dir.join("downloads"), key)
    }

    pub(crate) fn lock_path(&self, key: &str) -> PathBuf {
        self.dir.join("locks").join(format!("{key}.lock"))
    }

    pub(crate) fn memos(&self) -> Memos {
        Memos(self.dir.join("notes"))
    }

    /// What is in one of the folders.
    pub(crate) fn names(&self, sub: &str) -> Vec<String> {
        let list = std::fs::read_dir(self.dir.join(sub)).into_iter().flatten().flatten();
        list.filter_map(|e| e.file_name().into_string().ok()).collect()
    }
}
