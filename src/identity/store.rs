//! The directory that an identity is kept in.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::{Fault, Parts, check};
use super::error::Error;
use super::label::Label;
use super::store_file::StoreFile;
use super::{HostKeys, Identity, Joining, Made, SshKeyPair, Tokens};
use crate::cluster::{Cluster, MAX_NODES, Secret};
use crate::io::atomic::remove_remnants;
use crate::io::folder::{keeps_modes, parent};
use crate::io::{CancelToken, FileLock, Folder, LockError, Owner, Waiting, human_bytes};

/// No part of an identity comes near this size, which is a KiB and a half for each node's certificate and key at most; a
/// larger file is none.
pub const STORE_FILE_MAX: u64 = 1024 * 1024;

/// The directory that an identity is kept in, `.pibake` beside the description: mode 0700, all
/// files 0600, and all of it the user's for whom it is made.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    waiting: Waiting,
    description: Option<String>,
}

pub(super) fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{doing} {}", path.display());
    move |source| Error::Io { doing, source }
}

impl Store {
    /// The store in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), waiting: Waiting::default(), description: None }
    }

    /// Says where a wait for another process is told, and what ends it.
    pub fn set_waiting(&mut self, waiting: Waiting) {
        self.waiting = waiting;
    }

    /// The same, for the description in a file of this name: one that was made for another is refused.
    pub fn of_description(self, name: impl Into<String>) -> Self {
        Self { description: Some(name.into()), ..self }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `ssh -F` takes to reach the nodes.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.path(StoreFile::SshConfig)
    }

    /// Where the administrator's kubeconfig is.
    #[must_use]
    pub fn admin_conf(&self) -> PathBuf {
        self.path(StoreFile::AdminConf)
    }

    /// Where the private half of the pair of SSH keys is, where one was made.
    #[must_use]
    pub fn ssh_key(&self) -> PathBuf {
        self.path(StoreFile::SshKey)
    }

    pub(super) fn path(&self, file: StoreFile) -> PathBuf {
        self.dir.join(file.name())
    }

    /// The identity of `cluster`, made where there is none yet, with a pair of SSH keys if the
    /// cluster has no others, and `admin.conf` up to date. `now` is in seconds since 1970.
    pub fn open(&self, cluster: &Cluster, now: i64) -> Result<Identity, Error> {
        let _lock = self.lock()?;
        if !self.exists()? {
            self.create(&Identity::make(&cluster.name, now, cluster.access.admin_ttl)?)?;
        }
        let kept = self.kept()?;
        remove_remnants(&kept, |_| true).map_err(failed("clearing away remnants in", &self.dir))?;
        self.finish_admin(&kept)?;
        let mut identity = self.read(&kept, &cluster.name, now)?;
        if identity.ssh_key.is_none() && cluster.access.ssh_keys.is_empty() {
            let pair = SshKeyPair::make(&cluster.name)?;
            self.replace(&kept, StoreFile::SshKey, pair.private.reveal())?;
            identity.ssh_key = Some(pair);
        }
        if let Some(pair) = &identity.ssh_key {
            self.replace(&kept, StoreFile::SshKeyPublic, &format!("{}\n", pair.public))?;
        }
        if identity.host_keys.is_none() {
            let keys = HostKeys::make()?;
            self.replace(&kept, StoreFile::HostKeys, keys.text().reveal())?;
            identity.host_keys = Some(keys);
        }
        identity.renew_joining(cluster, now)?;
        self.replace(&kept, StoreFile::Joining, identity.joining.text().reveal())?;
        self.replace(&kept, StoreFile::KnownHosts, &identity.known_hosts(cluster)?)?;
        self.replace(&kept, StoreFile::SshConfig, &identity.ssh_config(cluster, &self.dir))?;
        self.replace(&kept, StoreFile::AdminConf, identity.admin_conf(cluster).reveal())?;
        self.replace(&kept, StoreFile::Gitignore, GITIGNORE)?;
        Ok(identity)
    }

    /// The identity, if there is one already; makes and changes nothing, and waits for nobody: the
    /// directory appears whole under its name, and so does each file that is changed later.
    pub fn peek(&self, cluster: &Cluster, now: i64) -> Result<Option<Identity>, Error> {
        if !self.exists()? {
            return Ok(None);
        }
        self.read(&self.kept()?, &cluster.name, now).map(Some)
    }

    /// Writes down what the cluster is made with; also where the run was cancelled meanwhile, since a card may stand
    /// by then.
    pub fn record(&self, made: &Made) -> Result<(), Error> {
        let _lock = self.lock_until(&CancelToken::default())?;
        let kept = self.kept()?;
        let mut label = self.label(&kept)?;
        label.made = Some(made.clone());
        label.description = label.description.or_else(|| self.description.clone());
        self.replace(&kept, StoreFile::Label, &self.text_of(&label)?)
    }

    /// Gives one node a new token, and returns it. `now` is in seconds since 1970.
    pub fn renew_token(&self, cluster: &Cluster, number: u16, now: i64) -> Result<Secret, Error> {
        let _lock = self.lock()?;
        let kept = self.kept()?;
        let identity = self.read(&kept, &cluster.name, now)?;
        let tokens = identity.tokens.renewed(number, MAX_NODES as usize)?;
        self.replace(&kept, StoreFile::Token, tokens.text().reveal())?;
        let none =
            || Error::Damaged { path: self.dir.join("token"), reason: format!("it has no line {number}") };
        tokens.of(number).cloned().ok_or_else(none)
    }

    /// Whether there is something under its name.
    pub fn exists(&self) -> Result<bool, Error> {
        match fs::symlink_metadata(&self.dir) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed("looking at", &self.dir)(e)),
        }
    }

    /// Held while the directory is made or changed. It lies beside, where it can be whether the store
    /// is there or not.
    pub(super) fn lock(&self) -> Result<FileLock, Error> {
        self.lock_until(self.waiting.cancel())
    }

    fn lock_until(&self, cancel: &CancelToken) -> Result<FileLock, Error> {
        let mut name = self.dir.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let waits = || {
            let dir = self.dir.display();
            let way_out = if std::ptr::eq(cancel, self.waiting.cancel()) { " (Ctrl-C cancels)" } else { "" };
            self.waiting.say(&format!("another pibake is using {dir}; waiting for it{way_out}"));
        };
        FileLock::take(&parent(&self.dir).join(name), cancel, waits).map_err(|error| match error {
            LockError::Cancelled { .. } => Error::Cancelled { dir: self.dir.clone() },
            LockError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                failed("opening", parent(&self.dir))(source)
            }
            LockError::Io { path, source } => failed("opening the lock", &path)(source),
            other => Error::Lock(other),
        })
    }

    /// Writes a whole new directory beside, then gives it its name: a half-written one never has it.
    fn create(&self, identity: &Identity) -> Result<(), Error> {
        let parent = parent(&self.dir);
        let name = self.dir.file_name().unwrap_or_default();
        let mut fresh_name = name.to_owned();
        fresh_name.push(".new");
        let fresh = parent.join(&fresh_name);
        // Left by a process that was killed: the lock says that no other is at work.
        let removed = match fs::symlink_metadata(&fresh) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&fresh),
            Ok(_) => fs::remove_file(&fresh),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        removed.map_err(failed("removing", &fresh))?;
        let around = Folder::open(parent).map_err(failed("opening", parent))?;
        let owner = Owner::of_new_in(parent);
        let folder = around.make(&fresh_name, 0o700, owner).map_err(failed("making", &fresh))?;
        // Found out before there is a secret in it.
        let found = folder.metadata().map_err(failed("looking at", &fresh))?;
        if found.mode() & 0o077 != 0 {
            around.remove_folder(&fresh_name).map_err(failed("removing", &fresh))?;
            return Err(Error::NoModes { dir: parent.to_owned() });
        }
        let valid = (identity.not_before, identity.not_after);
        let label = self.text_of(&Label::new(&identity.cluster, self.description.clone(), valid))?;
        for (file, text) in [
            (StoreFile::Gitignore, GITIGNORE),
            (StoreFile::Label, label.as_str()),
            (StoreFile::CaCertificate, &identity.ca_certificate),
            (StoreFile::CaKey, identity.ca_key.reveal()),
            (StoreFile::AdminCertificate, &identity.admin_certificate),
            (StoreFile::AdminKey, identity.admin_key.reveal()),
            (StoreFile::Token, identity.tokens.text().reveal()),
            (StoreFile::Salt, identity.salt.reveal()),
            (
                StoreFile::HostKeys,
                identity.host_keys.as_ref().map(HostKeys::text).as_ref().map_or("", Secret::reveal),
            ),
        ] {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            let written = folder.write_new(file.name(), format!("{text}{end}").as_bytes(), 0o600, owner);
            written.map_err(failed("writing", &fresh.join(file.name())))?;
        }
        folder.sync().map_err(failed("syncing", &fresh))?;
        around.rename(&fresh_name, name).map_err(failed("naming", &self.dir))?;
        around.sync().map_err(failed("syncing", parent))
    }

    /// Gives a file this content, unless it has it already.
    pub(super) fn replace(&self, kept: &Folder, file: StoreFile, text: &str) -> Result<(), Error> {
        if matches!(self.file(kept, file), Ok(found) if found == text) {
            return Ok(());
        }
        let found = kept.metadata().map_err(failed("looking at", &self.dir))?;
        let owner = rustix::process::geteuid().is_root().then(|| Owner::of(&found));
        let written = kept.replace(file.name(), text.as_bytes(), 0o600, owner);
        written.map_err(failed("writing", &self.path(file)))
    }

    fn text_of(&self, label: &Label) -> Result<String, Error> {
        label.text().map_err(|e| failed("writing", &self.dir.join("identity.toml"))(io::Error::other(e)))
    }

    /// Opens the directory, which must be a plain one, closed to others, and not a stranger's.
    pub(super) fn kept(&self) -> Result<Folder, Error> {
        let around = Folder::open(parent(&self.dir)).map_err(failed("opening", parent(&self.dir)))?;
        let plain = || Error::NotPlain { path: self.dir.clone(), wanted: "directory" };
        let folder = around.folder(self.dir.file_name().unwrap_or_default()).map_err(|e| {
            let is_other = e.kind() == io::ErrorKind::NotADirectory || is_link(&e);
            if is_other { plain() } else { failed("opening", &self.dir)(e) }
        });
        let folder = match folder {
            // A mode that keeps even its owner out is told by what it is.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                let found = fs::symlink_metadata(&self.dir).map_err(failed("looking at", &self.dir))?;
                self.guard(&self.dir, &found, &around, "700")?;
                return Err(failed("opening", &self.dir)(source));
            }
            other => other?,
        };
        let found = folder.metadata().map_err(failed("looking at", &self.dir))?;
        self.guard(&self.dir, &found, &around, "700")?;
        Ok(folder)
    }

    fn label(&self, kept: &Folder) -> Result<Label, Error> {
        let damaged = |reason| Error::Damaged { path: self.dir.join("identity.toml"), reason };
        Label::read(&self.file(kept, StoreFile::Label)?).map_err(damaged)
    }

    pub(super) fn read(&self, kept: &Folder, cluster: &str, now: i64) -> Result<Identity, Error> {
        let damaged = |name: &str, reason: &str| Error::Damaged {
            path: self.dir.join(name),
            reason: reason.to_owned(),
        };
        let label = self.label(kept)?;
        if let (Some(found), Some(wanted)) = (&label.description, &self.description)
            && found != wanted
        {
            return Err(Error::OtherDescription {
                dir: self.dir.clone(),
                found: found.clone(),
                wanted: wanted.clone(),
            });
        }
        if label.cluster != cluster {
            return Err(Error::OtherCluster {
                dir: self.dir.clone(),
                found: label.cluster,
                wanted: cluster.to_owned(),
            });
        }
        let file = |file| self.file(kept, file);
        let ca_certificate = file(StoreFile::CaCertificate)?;
        let (admin_certificate, admin_key) = match self.new_admin(kept)? {
            Some(pair) => pair,
            None => (file(StoreFile::AdminCertificate)?, file(StoreFile::AdminKey)?),
        };
        let [ca_key, token, salt] =
            [file(StoreFile::CaKey)?, file(StoreFile::Token)?, file(StoreFile::Salt)?];
        let tokens = Tokens::read(&token)
            .ok_or_else(|| damaged("token", "it does not hold a bootstrap token a line"))?;
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
        if now > label.not_after {
            return Err(Error::OutOfDate { dir: self.dir.clone(), fault: "they have expired" });
        }
        let ssh_key = match file(StoreFile::SshKey) {
            Ok(text) => Some(SshKeyPair::read(&text).map_err(|_| {
                damaged(StoreFile::SshKey.name(), "it holds no private key in OpenSSH's format")
            })?),
            Err(Error::Incomplete { .. }) => None,
            Err(e) => return Err(e),
        };
        let host_keys = match file(StoreFile::HostKeys) {
            Ok(text) => {
                let none = || damaged("host_keys", "it does not hold 64 hex digits");
                Some(HostKeys::read(&text).ok_or_else(none)?)
            }
            Err(Error::Incomplete { .. }) => None,
            Err(e) => return Err(e),
        };
        let joining = match file(StoreFile::Joining) {
            Ok(text) => Joining::read(&text)
                .ok_or_else(|| damaged("joining", "it does not hold a certificate and its key a line"))?,
            Err(Error::Incomplete { .. }) => Joining::default(),
            Err(e) => return Err(e),
        };
        Ok(Identity {
            cluster: label.cluster,
            ca_certificate,
            ca_key: Secret::new(ca_key),
            ca_hash,
            not_before: label.not_before,
            not_after: label.not_after,
            tokens,
            admin_certificate,
            admin_key: Secret::new(admin_key),
            ssh_key,
            host_keys,
            joining,
            salt: Secret::new(salt.trim_end()),
            made: label.made,
        })
    }

    /// The content of a file that is a plain one, the user's, and closed to others.
    pub(super) fn file(&self, kept: &Folder, wanted: StoreFile) -> Result<String, Error> {
        let path = self.path(wanted);
        let file = kept.file(wanted.name()).map_err(|e| match e.kind() {
            _ if is_link(&e) => Error::NotPlain { path: path.clone(), wanted: "file" },
            io::ErrorKind::NotFound => Error::Incomplete { dir: self.dir.clone(), missing: wanted.name() },
            _ => failed("opening", &path)(e),
        })?;
        let found = file.metadata().map_err(failed("looking at", &path))?;
        if !found.is_file() {
            return Err(Error::NotPlain { path, wanted: "file" });
        }
        self.guard(&path, &found, kept, "600")?;
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, STORE_FILE_MAX + 1), &mut text)
            .map_err(failed("reading", &path))?;
        if text.len() as u64 > STORE_FILE_MAX {
            let reason =
                format!("it is larger than {}, the most that it can have", human_bytes(STORE_FILE_MAX));
            return Err(Error::Damaged { path, reason });
        }
        String::from_utf8(text).map_err(|_| Error::Damaged { path, reason: "it is not UTF-8".to_owned() })
    }

    /// Refuses what others than the user may read or change. Root works for the caller of sudo and for the
    /// owner of the folder around, and takes secrets from nobody else.
    fn guard(
        &self,
        path: &Path,
        found: &fs::Metadata,
        around: &Folder,
        fix: &'static str,
    ) -> Result<(), Error> {
        let me = rustix::process::geteuid();
        let owner = found.uid();
        let trusted = || {
            let caller = Owner::caller().map(|caller| caller.uid);
            let around = around.metadata().ok().map(|found| found.uid());
            me.is_root() && (caller == Some(owner) || around == Some(owner))
        };
        let path = || path.to_owned();
        if owner != me.as_raw() && !trusted() {
            return Err(Error::NotOwned { path: path(), owner });
        }
        let mode = found.mode() & 0o777;
        if mode & 0o077 == 0 {
            return Ok(());
        }
        // Where a mode cannot be changed, nobody is told to change it.
        match keeps_modes(parent(&self.dir)) {
            Ok(false) => {
                let name = self.dir.file_name().unwrap_or_default();
                Err(Error::ModesLost { path: path(), dir: PathBuf::from(name) })
            }
            Ok(true) | Err(_) => Err(Error::Exposed { path: path(), mode, fix }),
        }
    }
}

/// Whether a file was not opened because it is a symbolic link.
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Keeps git away from the whole folder, itself included.
const GITIGNORE: &str = "# Secrets of a cluster: nothing of this belongs into a repository.\n*\n";
