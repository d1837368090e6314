//! What is secret and made once: the cluster's CA, a bootstrap token, the administrator's key, a
//! pair of SSH keys; and the hashing of passwords and radio keys.
//!
//! The CAs of etcd and of the front proxy and the key of service accounts are left to kubeadm:
//! nothing outside of the control plane needs to know them before it is up.

mod admin;
mod admin_store;
mod authority;
mod check;
mod error;
mod hash;
mod join_conf;
mod joining;
mod label;
mod made;
mod pushed;
pub mod snapshot;
mod ssh;
mod ssh_files;
mod store;
mod store_file;
pub mod token;

pub use admin::api_url;
pub use admin_store::Lent;
pub use error::Error;
pub use hash::{nt_hash, wifi_psk};
pub use joining::Joining;
pub use made::{Fixed, Made, kubelet_may_lag};
pub use snapshot::{Snapshot, SnapshotError};
pub use ssh::{HostKeys, SshKeyPair};
pub use store::{STORE_FILE_MAX, Store};
pub use store_file::StoreFile;
pub use token::Tokens;

use crate::cluster::{Access, MAX_NODES, Secret, Ttl};

/// The secrets of one cluster, made once and kept beside its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the cluster that it was made for.
    pub cluster: String,
    /// The CA's certificate, PEM.
    pub ca_certificate: String,
    /// The CA's key, PEM (PKCS #8, ECDSA P-256).
    pub ca_key: Secret,
    /// What a joining node pins: `sha256:` and the hex SHA-256 of the CA's SubjectPublicKeyInfo.
    pub ca_hash: String,
    /// From when on the CA's certificate is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is, in seconds since 1970.
    pub not_after: i64,
    /// The bootstrap tokens, one for each node.
    pub tokens: Tokens,
    /// The administrator's certificate, PEM, signed by the CA.
    pub admin_certificate: String,
    /// The administrator's key, PEM.
    pub admin_key: Secret,
    /// The pair of SSH keys made for the cluster, where one was needed.
    pub ssh_key: Option<SshKeyPair>,
    /// What the nodes' SSH host keys are made of; `None` before the first build of a cluster that an older
    /// pibake made.
    pub host_keys: Option<HostKeys>,
    /// What the workers' new cards join with.
    pub joining: Joining,
    /// What makes password hashes differ between clusters and not between builds.
    pub salt: Secret,
    /// What the cluster was made with, once its first cards were made.
    pub made: Option<Made>,
}

impl Identity {
    /// Makes all secrets of a cluster, without a pair of SSH keys. `now` is in seconds since
    /// 1970; `admin_ttl` is how long the administrator is let in; all else is random.
    ///
    /// # Errors
    /// [`Error::Clock`] where `now` is before pibake itself was written.
    pub fn make(cluster: &str, now: i64, admin_ttl: Ttl) -> Result<Self, Error> {
        let authority = authority::Authority::make(now)?;
        let (admin_certificate, admin_key) = authority.administrator(now, admin_ttl.seconds())?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(Self {
            cluster: cluster.to_owned(),
            ca_certificate: authority.certificate(),
            ca_key: authority.key(),
            ca_hash: authority.hash(),
            not_before: authority.not_before,
            not_after: authority.not_after,
            tokens: Tokens::make(MAX_NODES as usize)?,
            admin_certificate,
            admin_key,
            ssh_key: None,
            host_keys: Some(HostKeys::make()?),
            joining: Joining::default(),
            salt: Secret::new(hex::encode(salt)),
            made: None,
        })
    }

    /// Whether the administrator's certificate has ended by `now`, in seconds since 1970.
    #[must_use]
    pub fn admin_has_ended(&self, now: i64) -> bool {
        check::has_ended(&self.ca_certificate, &self.admin_certificate, now)
    }

    /// Who may log in: the user's keys or, where there are none, the pair made for the cluster.
    #[must_use]
    pub fn authorized_keys(&self, access: &Access) -> Vec<String> {
        match &self.ssh_key {
            Some(pair) if access.ssh_keys.is_empty() => vec![pair.public.clone()],
            _ => access.ssh_keys.clone(),
        }
    }
}
