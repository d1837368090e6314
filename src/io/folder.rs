//! A folder that is held open.
//!
//! What is done in it goes by its descriptor, so that nobody who may write in a folder above can lead
//! it elsewhere meanwhile; and no link in it is followed.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::Owner;

/// A folder that is held open.
#[derive(Debug)]
pub struct Folder(File);

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder at `path`; links on the way are followed.
    ///
    /// # Errors
    /// What openat(2) answers.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self(rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?.into()))
    }

    /// Opens the folder `name` in this one, which must not be a link.
    ///
    /// # Errors
    /// What openat(2) answers: `ELOOP` or `ENOTDIR` for a link.
    pub fn folder(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let flags = FOLDER | OFlags::NOFOLLOW;
        Ok(Self(rustix::fs::openat(&self.0, name.as_ref(), flags, Mode::empty())?.into()))
    }

    /// Makes the folder `name` with this mode, less the umask, for `owner` or whoever runs.
    ///
    /// # Errors
    /// What the operating system answers; `AlreadyExists` where something has that name.
    pub fn make(&self, name: impl AsRef<Path>, mode: u32, owner: Option<Owner>) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.0, name.as_ref(), bits(mode))?;
        let made = self.folder(name)?;
        if let Some(owner) = owner {
            // Another one may have been put in its place: then it would not be new.
            let found = made.metadata()?;
            if found.uid() == rustix::process::geteuid().as_raw() && made.names()?.is_empty() {
                owner.give(&made.0)?;
            }
        }
        Ok(made)
    }

    /// Opens the file `name` for reading, without following a link or waiting for a pipe.
    ///
    /// # Errors
    /// What openat(2) answers: `ELOOP` for a link.
    pub fn file(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name.as_ref(), flags, Mode::empty())?.into())
    }

    /// At most `limit` bytes of the regular file `name`; `None` where there is no such file.
    ///
    /// # Errors
    /// What the operating system answers, and `InvalidData` for what is not a regular file.
    pub fn read(&self, name: impl AsRef<Path>, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Makes the file `name`, which must not be there, with this content, on the disk when this returns.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn write_new(
        &self,
        name: impl AsRef<Path>,
        content: &[u8],
        mode: u32,
        owner: Option<Owner>,
    ) -> io::Result<()> {
        let mut file = self.create(name, mode, owner)?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Makes the empty file `name`, which must not be there, to be read and written.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn create(&self, name: impl AsRef<Path>, mode: u32, owner: Option<Owner>) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = rustix::fs::openat(&self.0, name.as_ref(), flags, bits(mode))?.into();
        owner.map_or(Ok(()), |owner| owner.give(&file))?;
        Ok(file)
    }

    /// The same folder once more.
    ///
    /// # Errors
    /// What dup(2) answers.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Gives what is called `from` the name `to`.
    ///
    /// # Errors
    /// What renameat(2) answers.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        let (from, to) = (Path::new(from.as_ref()), Path::new(to.as_ref()));
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Whether what has this name in it is `file`.
    pub(super) fn holds(&self, name: impl AsRef<Path>, file: &File) -> bool {
        let there = rustix::fs::statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW);
        let place = |found: rustix::fs::Stat| (found.st_dev, found.st_ino);
        there.is_ok_and(|there| rustix::fs::fstat(file).is_ok_and(|file| place(file) == place(there)))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What unlinkat(2) answers.
    pub fn remove_file(&self, name: impl AsRef<Path>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name.as_ref(), AtFlags::empty())?)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// What unlinkat(2) answers.
    pub fn remove_folder(&self, name: impl AsRef<Path>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name.as_ref(), AtFlags::REMOVEDIR)?)
    }

    /// What is known of the folder itself.
    ///
    /// # Errors
    /// What fstat(2) answers.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    /// The names in it, but for `.` and `..`.
    ///
    /// # Errors
    /// What getdents(2) answers.
    pub fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        use std::os::unix::ffi::OsStrExt;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Puts the names in it on the disk.
    ///
    /// # Errors
    /// What fsync(2) answers.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// Gives what this process made in it, however deep, to `owner`: regular files of one name and
    /// folders that are this user's and were made since `since`.
    ///
    /// # Errors
    /// What the operating system answers, but for what vanishes meanwhile.
    pub fn hand_over(&self, owner: Owner, since: std::time::SystemTime) -> io::Result<()> {
        let mine = rustix::process::geteuid().as_raw();
        for name in self.names()? {
            let Ok(file) = self.file(&name) else { continue };
            let found = file.metadata()?;
            // A file system that does not know when a file was made is taken at its word.
            let is_new = found.created().map_or(true, |made| made >= since);
            let single = found.is_dir() || (found.is_file() && found.nlink() == 1);
            if found.uid() == mine && single && is_new {
                owner.give(&file)?;
            }
            if found.is_dir() {
                Self(file).hand_over(owner, since)?;
            }
        }
        Ok(())
    }
}

/// The folder that a file at `path` is in; `.` for a name alone.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The flag with which a file that others may have made a link of is not opened.
pub const NO_LINKS: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// Makes the folder `path` and all above it that are not there, with this mode less the umask. Each
/// belongs to whom new files there belong ([`Owner::of_new_in`]).
///
/// # Errors
/// What the operating system answers; `NotADirectory` where something else has the name.
pub fn make_folders(path: &Path, mode: u32) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let (parent, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
    let Some(name) = name else { return std::fs::create_dir_all(path) };
    make_folders(parent, mode)?;
    match Folder::open(parent)?.make(name, mode, Owner::of_new_in(parent)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.map(drop),
    }
}

/// Whether what is in a folder keeps the modes that it is given: FAT and exFAT do not, nor do
/// Windows' drives in WSL. Asked with an empty file that is gone afterwards.
///
/// # Errors
/// What making that file answers.
pub fn keeps_modes(dir: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let probe = tempfile::Builder::new()
        .prefix(".pibake-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    Ok(probe.as_file().metadata()?.mode() & 0o077 == 0)
}

fn bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode as rustix::fs::RawMode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn no_link_is_followed_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        symlink(outside.path().join("x"), dir.path().join("file")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.folder("link").is_err());
        assert!(folder.file("file").is_err());
        assert!(folder.make("link", 0o700, None).is_err());
        assert!(folder.write_new("file", b"x", 0o600, None).is_err());
        folder.replace("file", b"new", 0o600, None).unwrap();
        assert_eq!(outside.path().read_dir().unwrap().count(), 0);
        assert_eq!(folder.read("file", 100).unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(folder.read("none", 100).unwrap(), None);
        assert!(folder.read("link", 100).is_err());
    }

    #[test]
    fn it_stays_the_same_one_under_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let above = Folder::open(dir.path()).unwrap();
        let made = above.make("a", 0o700, None).unwrap();
        std::fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        made.write_new("x", b"1", 0o600, None).unwrap();
        assert!(dir.path().join("b/x").exists() && !dir.path().join("a/x").exists());
        assert_eq!(dir.path().join("b").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn folders_are_made_down_to_the_last() {
        let dir = tempfile::tempdir().unwrap();
        make_folders(&dir.path().join("a/b/c"), 0o755).unwrap();
        make_folders(&dir.path().join("a/b/c"), 0o755).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        std::fs::write(dir.path().join("f"), "").unwrap();
        assert!(make_folders(&dir.path().join("f/x"), 0o755).is_err());
        assert!(keeps_modes(dir.path()).unwrap());
    }
}
