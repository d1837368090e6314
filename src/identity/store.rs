//! The directory that an identity is kept in.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::check::{Fault, Parts, check};
use super::{Error, Identity, SshKeyPair, token};
use crate::cluster::{Cluster, Secret};
use crate::io::{FileLock, LockError, Waiting};

/// No part of an identity comes near this size; a larger file is none.
const FILE_MAX: u64 = 64 * 1024;
/// The form of the directory; a later one will be told from it.
const FORMAT: u32 = 1;

/// The directory that an identity is kept in, `.pibake` beside the description: mode 0700, all
/// files 0600.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    waiting: Waiting,
}

/// What `identity.toml` says.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Label {
    format: u32,
    cluster: String,
    not_before: i64,
    not_after: i64,
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{doing} {}", path.display());
    move |source| Error::Io { doing, source }
}

impl Store {
    /// The store in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), waiting: Waiting::default() }
    }

    /// Says where a wait for another process is told, and what ends it.
    pub fn set_waiting(&mut self, waiting: Waiting) {
        self.waiting = waiting;
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the administrator's kubeconfig is.
    pub fn admin_conf(&self) -> PathBuf {
        self.dir.join("admin.conf")
    }

    /// Where the private half of the pair of SSH keys is, if one was made.
    pub fn ssh_key(&self) -> PathBuf {
        self.dir.join("ssh_key")
    }

    /// The identity of `cluster`, made where there is none yet, with a pair of SSH keys if the
    /// cluster has no others, and `admin.conf` up to date. `now` is in seconds since 1970.
    pub fn open(&self, cluster: &Cluster, now: i64) -> Result<Identity, Error> {
        let _lock = self.lock()?;
        if !self.exists()? {
            self.create(&Identity::make(&cluster.name, now)?)?;
        }
        let mut identity = self.read(&cluster.name, now)?;
        if identity.ssh_key.is_none() && cluster.access.ssh_keys.is_empty() {
            let pair = SshKeyPair::make(&cluster.name)?;
            self.replace("ssh_key", pair.private.reveal())?;
            identity.ssh_key = Some(pair);
        }
        if let Some(pair) = &identity.ssh_key {
            self.replace("ssh_key.pub", &format!("{}\n", pair.public))?;
        }
        self.replace("admin.conf", identity.admin_conf(cluster).reveal())?;
        Ok(identity)
    }

    /// The identity, if there is one already; makes and changes nothing, and waits for nobody: the
    /// directory appears whole under its name, and so does each file that is changed later.
    pub fn peek(&self, cluster: &Cluster, now: i64) -> Result<Option<Identity>, Error> {
        if !self.exists()? {
            return Ok(None);
        }
        self.read(&cluster.name, now).map(Some)
    }

    fn exists(&self) -> Result<bool, Error> {
        match fs::symlink_metadata(&self.dir) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed("looking at", &self.dir)(e)),
        }
    }

    fn parent(&self) -> &Path {
        self.dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Held while the directory is made or changed. It lies beside, where it can be whether the store
    /// is there or not.
    fn lock(&self) -> Result<FileLock, Error> {
        let mut name = self.dir.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let waits = || {
            let dir = self.dir.display();
            self.waiting.say(&format!("another pibake is using {dir}; waiting for it (Ctrl-C cancels)"));
        };
        FileLock::take(&self.parent().join(name), self.waiting.cancel(), waits).map_err(|error| match error {
            LockError::Cancelled { .. } => Error::Cancelled { dir: self.dir.clone() },
            LockError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                failed("opening", self.parent())(source)
            }
            LockError::Io { path, source } => failed("opening the lock", &path)(source),
            other => Error::Lock(other),
        })
    }

    /// Writes a whole new directory beside, then gives it its name: a half-written one never has it.
    fn create(&self, identity: &Identity) -> Result<(), Error> {
        let mut name = self.dir.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let fresh = self.parent().join(name);
        // Left by a process that was killed: the lock says that no other is at work.
        let removed = match fs::symlink_metadata(&fresh) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&fresh),
            Ok(_) => fs::remove_file(&fresh),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        removed.map_err(failed("removing", &fresh))?;
        DirBuilder::new().mode(0o700).create(&fresh).map_err(failed("making", &fresh))?;
        let label = Label {
            format: FORMAT,
            cluster: identity.cluster.clone(),
            not_before: identity.not_before,
            not_after: identity.not_after,
        };
        let label = toml::to_string(&label).map_err(|e| failed("writing", &fresh)(io::Error::other(e)))?;
        for (name, text) in [
            ("identity.toml", label.as_str()),
            ("ca.crt", &identity.ca_certificate),
            ("ca.key", identity.ca_key.reveal()),
            ("admin.crt", &identity.admin_certificate),
            ("admin.key", identity.admin_key.reveal()),
            ("token", identity.token.reveal()),
            ("salt", identity.salt.reveal()),
        ] {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            write(&fresh.join(name), &format!("{text}{end}"))?;
        }
        sync(&fresh)?;
        fs::rename(&fresh, &self.dir).map_err(failed("naming", &self.dir))?;
        sync(self.parent())
    }

    /// Gives a file this content, unless it has it already.
    fn replace(&self, name: &'static str, text: &str) -> Result<(), Error> {
        if matches!(self.file(name), Ok(found) if found == text) {
            return Ok(());
        }
        let (path, fresh) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("removing", &fresh)(e)),
            _ => write(&fresh, text)?,
        }
        fs::rename(&fresh, &path).map_err(failed("naming", &path))?;
        sync(&self.dir)
    }

    fn read(&self, cluster: &str, now: i64) -> Result<Identity, Error> {
        let found = fs::symlink_metadata(&self.dir).map_err(failed("looking at", &self.dir))?;
        if !found.is_dir() {
            return Err(Error::NotPlain { path: self.dir.clone(), wanted: "directory" });
        }
        guarded(&self.dir, &found, "700")?;
        let damaged = |name: &str, reason: &str| Error::Damaged {
            path: self.dir.join(name),
            reason: reason.to_owned(),
        };
        let label: Label = toml::from_str(&self.file("identity.toml")?)
            .map_err(|e| damaged("identity.toml", e.message()))?;
        if label.format != FORMAT {
            return Err(damaged("identity.toml", "it was written by another version of pibake"));
        }
        if label.cluster != cluster {
            return Err(Error::OtherCluster {
                dir: self.dir.clone(),
                found: label.cluster,
                wanted: cluster.to_owned(),
            });
        }
        let [ca_certificate, admin_certificate] = [self.file("ca.crt")?, self.file("admin.crt")?];
        let [ca_key, admin_key, token, salt] =
            [self.file("ca.key")?, self.file("admin.key")?, self.file("token")?, self.file("salt")?];
        if !token::is_token(token.trim_end()) {
            return Err(damaged("token", "it holds no bootstrap token"));
        }
        if hex::decode(salt.trim_end()).map_or(0, |s| s.len()) != 16 {
            return Err(damaged("salt", "it does not hold 32 hex digits"));
        }
        let parts = Parts {
            ca_certificate: &ca_certificate,
            ca_key: &ca_key,
            admin_certificate: &admin_certificate,
            admin_key: &admin_key,
        };
        let ca_hash = check(&parts, now).map_err(|fault| match fault {
            Fault::Damaged(name, reason) => damaged(name, reason),
            Fault::Mixed(fault) => Error::Mixed { dir: self.dir.clone(), fault },
            Fault::OutOfDate(fault) => Error::OutOfDate { dir: self.dir.clone(), fault },
        })?;
        let ssh_key = match self.file("ssh_key") {
            Ok(text) => Some(
                SshKeyPair::read(&text)
                    .map_err(|_| damaged("ssh_key", "it holds no private key in OpenSSH's format"))?,
            ),
            Err(Error::Incomplete { .. }) => None,
            Err(e) => return Err(e),
        };
        Ok(Identity {
            cluster: label.cluster,
            ca_certificate,
            ca_key: Secret::new(ca_key),
            ca_hash,
            not_before: label.not_before,
            not_after: label.not_after,
            token: Secret::new(token.trim_end()),
            admin_certificate,
            admin_key: Secret::new(admin_key),
            ssh_key,
            salt: Secret::new(salt.trim_end()),
        })
    }

    /// The content of a file that is a plain one, the user's, and closed to others.
    fn file(&self, name: &'static str) -> Result<String, Error> {
        let path = self.dir.join(name);
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        let file = opened.map_err(|e| match e.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
                Error::NotPlain { path: path.clone(), wanted: "file" }
            }
            _ if e.kind() == io::ErrorKind::NotFound => {
                Error::Incomplete { dir: self.dir.clone(), missing: name }
            }
            _ => failed("opening", &path)(e),
        })?;
        let found = file.metadata().map_err(failed("looking at", &path))?;
        if !found.is_file() {
            return Err(Error::NotPlain { path, wanted: "file" });
        }
        guarded(&path, &found, "600")?;
        let mut text = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut text).map_err(failed("reading", &path))?;
        String::from_utf8(text).map_err(|_| Error::Damaged { path, reason: "it is no text".to_owned() })
    }
}

/// That no one but the user (or root, for all) may read or change it.
fn guarded(path: &Path, found: &fs::Metadata, fix: &'static str) -> Result<(), Error> {
    let me = rustix::process::geteuid();
    // root reads a user's store where that user runs `sudo pibake flash`.
    if found.uid() != me.as_raw() && !me.is_root() {
        return Err(Error::NotOwned { path: path.to_owned(), owner: found.uid() });
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode, fix });
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(failed("writing", path))
}

fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(failed("syncing", dir))
}
