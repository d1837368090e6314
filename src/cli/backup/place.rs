//! The folder that copies are kept in. A copy has its name only when it is whole; what is there already and no copy of
//! pibake's stays; and of one that did not come whole nothing stays.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::copied_store;
use super::heading::is_stamp;
use crate::cli::gitignore::{GITIGNORE, close_to_git};
use crate::error::{Doing, DoingAs, ErrorClass, Failure};
use crate::identity::snapshot::{ARCHIVE, STORE_COPY};
use crate::io::folder::{keeps_modes, make_folders};
use crate::io::{FileLock, Folder, LockError, Owner, free_space, human_bytes};
use crate::progress::Progress;
use crate::workflow::Control;

/// Held by a backup into the folder.
const LOCK: &str = ".pibake-backup.lock";
/// What the name of a copy that is not whole begins and ends with. Older pibakes had its time alone between two dots.
const PART: (&str, &str) = (".pibake-backup-", ".part");
/// A copy that another node had, until it is decrypted.
pub(super) const SEALED_ARCHIVE: &str = "etcd.tar.gpg";
/// All that is ever in a copy's folder.
const NAMES: [&str; 4] = [ARCHIVE, STORE_COPY, GITIGNORE, SEALED_ARCHIVE];

/// A folder that copies may be put into.
pub(super) struct Place {
    dir: PathBuf,
    around: Folder,
    owner: Option<Owner>,
    /// There are file systems without locks.
    _lock: Option<FileLock>,
}

impl Place {
    /// Makes the folder where it is not there; refuses one in which everybody could read what is secret; waits for another
    /// backup into it, and clears away what killed ones have left.
    pub(super) fn open(dir: &Path, control: &Control) -> Result<Self, Failure> {
        let making = || format!("making {}", dir.display());
        // What is still to be made will be in the file system of the nearest folder above.
        let mut above = dir.ancestors();
        let there = above.find(|above| above.as_os_str().is_empty() || above.is_dir()).unwrap_or(dir);
        if !keeps_modes(there).doing(|| format!("writing into {}", dir.display()))? {
            return Err(Failure::refused(format!(
                "the file system of {} keeps no file modes (FAT, exFAT, a Windows drive in WSL), so everybody could read \
                 the cluster's secrets there: mount it for yourself alone (umask=077), or name a folder on a Linux file \
                 system with --to",
                dir.display()
            )));
        }
        make_folders(dir, 0o777).doing(making)?;
        let around = Folder::open(dir).doing(making)?;
        let waiting = control.waiting();
        let waits = || {
            let dir = dir.display();
            waiting.say(&format!(
                "another pibake is fetching a copy into {dir}; waiting for it (Ctrl-C cancels)"
            ));
        };
        let lock = match FileLock::take(&dir.join(LOCK), waiting.cancel(), waits) {
            Ok(lock) => Some(lock),
            Err(LockError::Unsupported { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        // Without a lock another one may still be at work.
        let is_alone = lock.is_some();
        let place = Self { dir: dir.to_owned(), around, owner: Owner::of_new_in(dir), _lock: lock };
        if is_alone {
            place.clear_away().doing(|| format!("clearing away remnants in {}", dir.display()))?;
        }
        Ok(place)
    }

    /// Removes copies that are not whole: what is called so, and has nothing else in it.
    fn clear_away(&self) -> io::Result<()> {
        for name in self.around.names()? {
            let is_ours = || self.around.folder(&name).is_ok_and(|folder| has_only_ours(&folder));
            if name.to_str().is_some_and(is_part) && is_ours() {
                // One that cannot be removed is in nobody's way.
                let _ = remove_tree(&self.around, &name);
            }
        }
        Ok(())
    }

    /// A folder for a copy that is still to come.
    pub(super) fn part(&self) -> Result<Part<'_>, Failure> {
        let number =
            getrandom::u32().doing_as(ErrorClass::Failed, || "asking for a random number".to_owned())?;
        let name = format!("{}{number:08x}{}", PART.0, PART.1);
        let path = self.dir.join(&name);
        let making = || format!("making {}", path.display());
        let folder = self.around.make(&name, 0o700, self.owner).doing(making)?;
        let part = Part { place: self, name, folder, is_kept: false };
        close_to_git(&part.folder, "Copies of etcd hold", 0o600, self.owner).doing(making)?;
        Ok(part)
    }

    /// Refuses a copy for which there is too little room.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), Failure> {
        let dir = self.dir.display();
        let free = free_space(&self.dir).doing(|| format!("examining {dir}"))?;
        if free >= bytes {
            return Ok(());
        }
        Err(Failure::new(
            ErrorClass::NoSpace,
            format!(
                "the copy needs {}, and {dir} has {} of free space: free some space there, or name another folder with --to",
                human_bytes(bytes),
                human_bytes(free)
            ),
        ))
    }

    /// Whether there is a copy of that name; refuses the name where it is something else's.
    pub(super) fn check(&self, name: &str) -> Result<bool, Failure> {
        let is_copy = match self.around.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(_) => false,
            Ok(folder) => {
                let has = |name| folder.file(name).is_ok();
                has(ARCHIVE) && has(STORE_COPY) && has_only_ours(&folder)
            }
        };
        if is_copy {
            return Ok(true);
        }
        Err(Failure::refused(format!(
            "{} is no copy that pibake has made, or has more in it: move it away, or name another folder with --to",
            self.dir.join(name).display()
        )))
    }
}

/// A copy that is not whole yet; removed when dropped.
pub(super) struct Part<'a> {
    place: &'a Place,
    name: String,
    folder: Folder,
    is_kept: bool,
}

impl Part<'_> {
    /// Where a file of it is.
    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.place.dir.join(&self.name).join(name)
    }

    /// Makes an empty file in it, to be written and read.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        let made = self.folder.create(name, 0o600, self.place.owner);
        made.doing(|| format!("making {}", self.path(name).display()))
    }

    /// Removes a file of it.
    pub(super) fn remove(&self, name: &str) -> Result<(), Failure> {
        self.folder.remove_file(name).doing(|| format!("removing {}", self.path(name).display()))
    }

    /// Copies the store into it.
    pub(super) fn copy_store(&self, store: &Path, progress: &dyn Progress) -> Result<(), Failure> {
        let to = self.folder.make(STORE_COPY, 0o700, self.place.owner);
        let to = to.doing(|| format!("copying {}", store.display()))?;
        copied_store::copy(store, &to, self.place.owner, progress)
    }

    /// Gives it its name, durably, in the place of a copy of the same second, which was verified just the same.
    pub(super) fn keep(mut self, stamp: &str) -> Result<PathBuf, Failure> {
        let (place, done) = (self.place, self.place.dir.join(stamp));
        let naming = || format!("naming {}", done.display());
        self.folder.sync().doing(naming)?;
        // Aside first, so that at no time there is none.
        let old = format!("{stamp}.old");
        let is_there = place.check(stamp)?;
        if is_there {
            if place.check(&old)? {
                remove_tree(&place.around, old.as_ref())
                    .doing(|| format!("removing {}", place.dir.join(&old).display()))?;
            }
            place.around.rename(stamp, &old).doing(naming)?;
        }
        place.around.rename(&self.name, stamp).doing(naming)?;
        self.is_kept = true;
        place.around.sync().doing(naming)?;
        if is_there {
            remove_tree(&place.around, old.as_ref())
                .doing(|| format!("removing {}", place.dir.join(&old).display()))?;
        }
        Ok(done)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = remove_tree(&self.place.around, self.name.as_ref());
        }
    }
}

/// Whether it is the name of a copy that is not whole.
fn is_part(name: &str) -> bool {
    let number = name.strip_prefix(PART.0).and_then(|rest| rest.strip_suffix(PART.1));
    let is_number = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_older = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(PART.1));
    number.is_some_and(is_number) || of_older.is_some_and(is_stamp)
}

fn has_only_ours(folder: &Folder) -> bool {
    folder.names().is_ok_and(|names| names.iter().all(|name| NAMES.iter().any(|ours| name == ours)))
}

/// Removes a file, or a folder with all that is in it; no link is followed.
fn remove_tree(around: &Folder, name: &OsStr) -> io::Result<()> {
    let Ok(folder) = around.folder(name) else { return around.remove_file(name) };
    for inner in folder.names()? {
        remove_tree(&folder, &inner)?;
    }
    around.remove_folder(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::progress::Silent;

    const STAMP: &str = "20261126T131227Z";

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A store, and a place for copies beside it.
    fn desk() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::write(dir.path().join("store/ca.key"), "secret").unwrap();
        let place = dir.path().join("a/backups");
        (dir, place)
    }

    fn copied(dir: &Path, store: &Path, stamp: &str, text: &str) -> Result<PathBuf, Failure> {
        let place = Place::open(dir, &Control::default())?;
        let part = place.part()?;
        part.copy_store(store, &Silent)?;
        io::Write::write_all(&mut part.create(ARCHIVE)?, text.as_bytes()).unwrap();
        part.keep(stamp)
    }

    #[test]
    fn a_copy_has_its_name_when_it_is_whole_and_takes_the_place_of_its_like() {
        let (desk, dir) = desk();
        let store = desk.path().join("store");
        for text in ["one", "two"] {
            let done = copied(&dir, &store, STAMP, text).unwrap();
            assert_eq!(names(&dir), [STAMP]);
            assert_eq!(names(&done), [GITIGNORE, ARCHIVE, STORE_COPY]);
            assert_eq!(fs::read_to_string(done.join(ARCHIVE)).unwrap(), text);
            assert_eq!(fs::read_to_string(done.join("pibake/ca.key")).unwrap(), "secret");
            assert_eq!(fs::metadata(&done).unwrap().permissions().mode() & 0o777, 0o700);
        }
        let place = Place::open(&dir, &Control::default()).unwrap();
        drop(place.part().unwrap());
        drop(place);
        assert_eq!(names(&dir), [STAMP]);
    }

    #[test]
    fn what_is_no_copy_stays() {
        let (desk, dir) = desk();
        let store = desk.path().join("store");
        copied(&dir, &store, STAMP, "one").unwrap();
        let there = dir.join(STAMP);
        fs::write(there.join("notes"), "mine").unwrap();
        let refused = |stamp: &str| copied(&dir, &store, stamp, "two").unwrap_err().to_string();
        assert!(refused(STAMP).contains("is no copy that pibake has made"));
        fs::remove_file(there.join("notes")).unwrap();
        fs::remove_file(there.join(ARCHIVE)).unwrap();
        assert!(refused(STAMP).contains("is no copy that pibake has made"));
        let other = "20261127T000000Z";
        symlink(&store, dir.join(other)).unwrap();
        assert!(refused(other).contains("is no copy that pibake has made"));
        assert_eq!(names(&dir), [STAMP, other]);
        assert_eq!(names(&store), ["ca.key"]);
    }

    #[test]
    fn what_killed_ones_left_goes_and_nothing_else() {
        let (_desk, dir) = desk();
        fs::create_dir_all(&dir).unwrap();
        for part in [".20261126T131227Z.part", ".pibake-backup-0123abcd.part"] {
            fs::create_dir_all(dir.join(part).join(STORE_COPY)).unwrap();
            fs::write(dir.join(part).join(STORE_COPY).join("ca.key"), "secret").unwrap();
            fs::write(dir.join(part).join(ARCHIVE), "half").unwrap();
        }
        let foreign = [".20261128T131227Z.part", ".mine.part", ".pibake-backup-0123abcx.part"];
        for name in foreign {
            fs::create_dir(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("thesis"), "mine").unwrap();
        }
        drop(Place::open(&dir, &Control::default()).unwrap());
        assert_eq!(names(&dir), foreign);
    }

    #[test]
    fn what_is_none_of_a_stores_files_is_found_before_anything_is_fetched() {
        let (desk, dir) = desk();
        let store = desk.path().join("store");
        let key = store.join("ca.key");
        let refused = || copied(&dir, &store, STAMP, "one").unwrap_err().to_string();
        fs::write(&key, vec![0; (1 << 20) + 1]).unwrap();
        assert!(refused().contains("store/ca.key is larger"));
        fs::remove_file(&key).unwrap();
        fs::create_dir(&key).unwrap();
        assert!(refused().contains("store/ca.key is not a plain file"));
        fs::remove_dir(&key).unwrap();
        symlink("/etc/passwd", &key).unwrap();
        assert!(refused().contains("store/ca.key is not a plain file"));
        assert!(names(&dir).is_empty());
        let place = Place::open(&dir, &Control::default()).unwrap();
        assert_eq!(place.check_room(u64::MAX).unwrap_err().class(), ErrorClass::NoSpace);
        place.check_room(1).unwrap();
    }
}
