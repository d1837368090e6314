//! Making the administrator's certificate again.

use std::io;
use std::path::{Path, PathBuf};

use super::admin::{USER, kubeconfig};
use super::authority::Authority;
use super::store::{Store, failed};
use super::store_file::StoreFile;
use super::{Error, Identity};
use crate::cluster::Cluster;
use crate::io::Folder;

const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// A kubeconfig with all rights for some minutes, made by whoever has the CA's key. Its file is gone when this is.
#[derive(Debug)]
pub struct Lent {
    path: PathBuf,
    kept: Folder,
}

impl Lent {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // One that stays has ended soon, and is overwritten by the next.
        let _ = self.kept.remove_file(StoreFile::LentConf.name());
    }
}

impl Store {
    /// A kubeconfig with all rights for ten minutes from `now` on, to use right away; for an API server as in
    /// [`Identity::kubeconfig`].
    ///
    /// # Errors
    /// As [`Store::open`]; none is made by a clock that is before pibake itself was written.
    pub fn lend(
        &self,
        cluster: &Cluster,
        url: &str,
        certified: Option<&str>,
        now: i64,
    ) -> Result<Lent, Error> {
        let kept = self.kept()?;
        let identity = self.read(&kept, &cluster.name, now)?;
        let (certificate, key) = authority(&identity)?.administrator(now, Some(600))?;
        let text = kubeconfig(cluster, url, certified, USER, &identity.ca_certificate, &certificate, &key);
        self.replace(&kept, StoreFile::LentConf, text.reveal())?;
        Ok(Lent { path: self.path(StoreFile::LentConf), kept })
    }

    /// Makes the administrator `user` from now on, with the rights that the cluster gives to that name.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn renew_admin(&self, cluster: &Cluster, user: &str, now: i64) -> Result<(), Error> {
        let _lock = self.lock()?;
        let kept = self.kept()?;
        let identity = self.read(&kept, &cluster.name, now)?;
        let ttl = cluster.access.admin_ttl.seconds();
        let (certificate, key) = authority(&identity)?.client(user, None, now, ttl)?;
        self.replace(&kept, StoreFile::NewAdmin, &format!("{certificate}{}", key.reveal()))?;
        self.finish_admin(&kept)
    }

    /// The pair that is to become the administrator's; `None` where there is none under way.
    pub(super) fn new_admin(&self, kept: &Folder) -> Result<Option<(String, String)>, Error> {
        match self.file(kept, StoreFile::NewAdmin) {
            Ok(text) => {
                let path = || self.path(StoreFile::NewAdmin);
                let none = || Error::Damaged { path: path(), reason: "it holds no key".to_owned() };
                let (certificate, _) = text.split_once(KEY_BEGINS).ok_or_else(none)?;
                Ok(Some((certificate.to_owned(), text[certificate.len()..].to_owned())))
            }
            Err(Error::Incomplete { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts it where it belongs; may be cut off and done again. The lock is held.
    pub(super) fn finish_admin(&self, kept: &Folder) -> Result<(), Error> {
        let Some((certificate, key)) = self.new_admin(kept)? else { return Ok(()) };
        self.replace(kept, StoreFile::AdminCertificate, &certificate)?;
        self.replace(kept, StoreFile::AdminKey, &key)?;
        match kept.remove_file(StoreFile::NewAdmin.name()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("removing", &self.path(StoreFile::NewAdmin))(error))
            }
            _ => kept.sync().map_err(failed("syncing", self.dir())),
        }
    }
}

pub(super) fn authority(identity: &Identity) -> Result<Authority, Error> {
    Authority::again(&identity.ca_key, identity.not_before, identity.not_after)
}
