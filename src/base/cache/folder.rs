//! The folder where images are kept between runs.
//!
//! ```text
//! images/<digest>.img          a raw image, sparse; <digest> is that of the file as published
//! images/<digest>.json         vouches for it: written last, removed first
//! downloads/<key>.part[.json]  a download under way, and which version of which address it is
//! evidence/<key>.sums, .gpg    lists of digests and their signatures, judged anew each time
//! notes/                       digests of local files, by size, times and inode
//! locks/<key>.lock             whoever works on <key> holds it
//! .<name>.<random>.tmp         what is to become <name>, in its folder, locked by whoever writes it
//! ```
//! A key is a digest where that is known, and else stands for an address or a path.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry::Files;
use super::memo::Memos;
use super::{Checked, entry, guard};
use crate::base::fetch::Place;
use crate::base::{Base, Digest, Error, ImageObserver, Options, Result, Spec, Trust, resolve};
use crate::io::atomic::remove_remnants;
use crate::io::folder::make_folders;
use crate::io::{FileLock, Folder, Owner, Stamp, ownership};
use crate::progress::{Progress, Unit};

/// A download that nobody took up again for this long is given up.
const PART_IS_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The folders in it.
const SUBS: [&str; 5] = ["images", "downloads", "evidence", "notes", "locks"];
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
            entry::write_whole(&tag, TAG.as_bytes())?;
        }
        cache.hand_over()?;
        Ok(cache)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gets the image that `spec` names: from the cache, from where it lies, or from the network. `observer`
    /// sees it while it is decoded, which is only where it was not in the cache.
    ///
    /// Several processes may ask for the same image at once: one works, the others wait for it. What
    /// a killed one left is taken up (a download) or cleared away.
    ///
    /// # Errors
    /// [`Error`]; whatever it is, nothing that is not whole and verified stands under a final name.
    pub fn obtain(
        &self,
        spec: &Spec,
        options: &Options,
        progress: &dyn Progress,
        observer: Option<&mut dyn ImageObserver>,
    ) -> Result<Base> {
        let obtained = resolve::obtain(self, spec, options, progress, observer);
        self.hand_over()?;
        obtained
    }

    /// Gives what root made in it to the user whose cache it is.
    fn hand_over(&self) -> Result<()> {
        let Some(owner) = Owner::of_new_in(&self.dir) else { return Ok(()) };
        let given = Folder::open(&self.dir).and_then(|folder| folder.hand_over(owner, self.opened));
        given.map_err(|e| Error::io("giving to its owner", &self.dir, e))
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.dir.join("images")
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

    pub(crate) fn notes(&self) -> PathBuf {
        self.dir.join("notes")
    }

    pub(crate) fn with_memos<T>(&self, ask: impl FnOnce(&Memos<'_>) -> T) -> T {
        ask(&Memos(&self.notes()))
    }

    /// The image with this digest, if it is here and passes its check. One that does not is removed;
    /// the caller holds its lock.
    ///
    /// A file that was touched since it was verified (its time of change is another, which no program
    /// can put back) is read in full, and so is any file if that is asked for.
    pub(crate) fn find(
        &self,
        digest: &Digest,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Option<Found>> {
        let files = Files::new(&self.images(), digest);
        let Some(entry) = files.load() else { return Ok(None) };
        for path in [&files.entry, &files.image] {
            if let Ok(found) = std::fs::symlink_metadata(path) {
                guard::check(path, &found, &self.dir)?;
            }
        }
        let path = files.image.display();
        let checked = entry.look(&files.image).and_then(|(stamp, same)| {
            if same && !options.thorough {
                return Ok((stamp, Checked::Unchanged));
            }
            if !same {
                progress.note(&format!(
                    "the cached image {path} was touched since it was verified: reading it in full"
                ));
            }
            let step = progress.begin("checking the cached image", Unit::Bytes, Some(entry.raw_len));
            entry.check_content(&files.image, |n| step.advance(n))?;
            step.finish();
            Ok((stamp, Checked::Content))
        });
        let (stamp, checked) = match checked {
            Ok(checked) => checked,
            Err(reason) => {
                progress.note(&format!("the cached image {path} is damaged ({reason}); removing it"));
                files.discard()?;
                return Ok(None);
            }
        };
        tracing::info!(image = %path, checked = checked.as_str(), "found in the cache");
        let packed_len = entry.packed_len;
        if checked == Checked::Content {
            files.renew(entry, stamp)?;
        }
        Ok(Some(Found { path: files.image, stamp, checked, digest: *digest, packed_len }))
    }

    /// Whether an image was made from a packed file of this size, so that hashing a file of unknown
    /// digest may save decoding it.
    pub(crate) fn has_packed_len(&self, len: u64) -> bool {
        self.names("images").iter().filter_map(|name| name.strip_suffix(".json")).any(|digest| {
            let entry = digest.parse().ok().and_then(|d| Files::new(&self.images(), &d).load());
            entry.is_some_and(|e| e.packed_len == len)
        })
    }

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
                && is_older(&self.dir.join("downloads").join(&name), PART_IS_KEPT)
            {
                self.remove_unlocked(key, || self.place(key).clear())?;
            }
        }
        for sub in ["images", "downloads", "evidence", "notes", "."] {
            let dir = self.dir.join(sub);
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

    fn names(&self, sub: &str) -> Vec<String> {
        let list = std::fs::read_dir(self.dir.join(sub)).into_iter().flatten().flatten();
        list.filter_map(|e| e.file_name().into_string().ok()).collect()
    }
}

/// A raw image in the cache.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    pub(crate) checked: Checked,
    pub(crate) digest: Digest,
    pub(crate) packed_len: u64,
}

impl Found {
    pub(crate) fn into_base(self, name: String, release: Option<&str>, trust: Trust) -> Base {
        let Self { path, stamp, checked, digest, packed_len } = self;
        let release = release.map(str::to_owned);
        Base { name, release, len: stamp.len, packed_len, digest, trust, checked, path, stamp }
    }
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let now = SystemTime::now();
    modified.and_then(|m| now.duration_since(m).ok()).is_some_and(|a| a > age)
}
