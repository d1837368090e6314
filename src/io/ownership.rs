//! Whose files are made.
//!
//! Root often works for somebody else: `sudo pibake flash`, or a root shell in a user's folder. What
//! it makes there must be that user's, who otherwise could neither use it nor remove it. A file is
//! given away through its descriptor, never by its path, which that user could make a link of.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Gid, Uid, fchown};

/// A user and a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Owner {
    /// The user who called sudo, where this process is root because of that (sudo(8),
    /// `SUDO_UID` and `SUDO_GID`).
    #[must_use]
    pub fn caller() -> Option<Self> {
        let variable = |name| std::env::var_os(name);
        is_root().then(|| from_sudo(variable("SUDO_UID"), variable("SUDO_GID"))).flatten()
    }

    /// Whom a file made in `dir` shall belong to, where that is not simply who makes it: the caller
    /// of sudo, or the owner of `dir`, or of the nearest folder above that is there. Root's own home
    /// stays root's.
    #[must_use]
    pub fn of_new_in(dir: &Path) -> Option<Self> {
        if !is_root() {
            return None;
        }
        // "" is how a path without a folder names the one that the program runs in
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let dir = std::path::absolute(dir).ok()?;
        let folder = dir.ancestors().find_map(|above| above.canonicalize().ok())?;
        if home_of(0).is_some_and(|home| home != Path::new("/") && folder.starts_with(home)) {
            return None;
        }
        Self::caller().or_else(|| folder.metadata().ok().map(|found| Self::of(&found)).filter(|o| o.uid != 0))
    }

    /// The owner of a file.
    #[must_use]
    pub fn of(found: &Metadata) -> Self {
        Self { uid: found.uid(), gid: found.gid() }
    }

    /// Gives an open file or folder to this owner.
    ///
    /// # Errors
    /// Where the file system has no owners (FAT answers `EPERM`), it stays as it is without an error;
    /// all else that fchown(2) answers.
    pub fn give(self, file: impl AsFd) -> io::Result<()> {
        match fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))) {
            Ok(()) | Err(rustix::io::Errno::PERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Gives a file that this process just made to whom new files in `dir` belong.
///
/// # Errors
/// See [`Owner::give`].
pub fn give_new(file: &File, dir: &Path) -> io::Result<()> {
    Owner::of_new_in(dir).map_or(Ok(()), |owner| owner.give(file))
}

/// The home of the person at the keyboard: of the caller of sudo where that is another than root.
/// `None` where it is not known.
pub fn home() -> Option<PathBuf> {
    let own = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let Some(caller) = Owner::caller() else { return own };
    // sudo -E, and sudo on a Mac, keep HOME
    own.filter(|home| home.metadata().is_ok_and(|m| m.uid() == caller.uid)).or_else(|| home_of(caller.uid))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn from_sudo(uid: Option<OsString>, gid: Option<OsString>) -> Option<Owner> {
    let number = |text: Option<OsString>| {
        let text = text?.into_string().ok()?;
        // (uid_t) -1 means "leave it" to chown(2)
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok().filter(|n| *n != u32::MAX))
            .flatten()
    };
    let owner = Owner { uid: number(uid)?, gid: number(gid)? };
    (owner.uid != 0).then_some(owner)
}

/// The home folder that the user database has for a user.
fn home_of(uid: u32) -> Option<PathBuf> {
    let local = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    home_in(&local, uid).or_else(|| {
        // users of a directory service are in no file
        let asked = Command::new("getent").arg("passwd").arg(uid.to_string()).stderr(Stdio::null()).output();
        home_in(&String::from_utf8(asked.ok()?.stdout).ok()?, uid)
    })
}

/// The sixth field of passwd(5).
fn home_in(passwd: &str, uid: u32) -> Option<PathBuf> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut of_user = fields.filter(|f| f.get(2).is_some_and(|n| n.parse() == Ok(uid)));
    of_user.find_map(|f| f.get(5).map(PathBuf::from)).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_caller_of_sudo_counts() {
        let ask = |uid: &str, gid: &str| from_sudo(Some(uid.into()), Some(gid.into()));
        assert_eq!(ask("1000", "100"), Some(Owner { uid: 1000, gid: 100 }));
        for (uid, gid) in [("0", "0"), ("", "1"), ("-1", "1"), ("+5", "1"), ("4294967295", "1"), ("me", "1")]
        {
            assert_eq!(ask(uid, gid), None, "{uid}");
        }
        assert_eq!(from_sudo(Some("1000".into()), None), None);
    }

    #[test]
    fn homes_are_read_as_passwd_5_has_them() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000:,,,:/home/me:/bin/sh\nbad:x:7:7::rel:\n";
        assert_eq!(home_in(passwd, 1000), Some("/home/me".into()));
        assert_eq!(home_in(passwd, 0), Some("/root".into()));
        assert_eq!(home_in(passwd, 7), None);
        assert_eq!(home_in(passwd, 8), None);
    }
}
