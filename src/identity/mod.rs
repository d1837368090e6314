//! What is secret and made once: the cluster's CA, a bootstrap token, the administrator's key, a
//! pair of SSH keys; and the hashing of passwords and radio keys.
//!
//! The CAs of etcd and of the front proxy and the key of service accounts are left to kubeadm:
//! nothing outside of the control plane needs to know them before it is up.

mod admin;
mod authority;
mod check;
mod hash;
mod ssh;
mod store;
mod token;

use std::path::PathBuf;

pub use hash::wifi_psk;
pub use ssh::SshKeyPair;
pub use store::Store;

use crate::cluster::{Access, Secret};

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
    /// The bootstrap token, `[a-z0-9]{6}\.[a-z0-9]{16}`.
    pub token: Secret,
    /// The administrator's certificate, PEM, signed by the CA.
    pub admin_certificate: String,
    /// The administrator's key, PEM.
    pub admin_key: Secret,
    /// The pair of SSH keys made for the cluster, where one was needed.
    pub ssh_key: Option<SshKeyPair>,
    /// What makes password hashes differ between clusters and not between builds.
    pub salt: Secret,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read, made or locked.
    #[error("{doing}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The lock beside the directory cannot be used.
    #[error(transparent)]
    Lock(crate::io::LockError),
    /// Another pibake was at work, and the one who asked did not want to wait for it.
    #[error("cancelled while another pibake was using {}: nothing in it was changed", dir.display())]
    Cancelled {
        /// The directory.
        dir: PathBuf,
    },
    /// Others may read what is secret.
    #[error(
        "{} may be read or changed by others (mode {mode:03o}): run chmod {fix} {}; if others had \
         accounts here, remove it and build all cards anew", path.display(), quoted(path)
    )]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The mode that it must have, as chmod takes it.
        fix: &'static str,
    },
    /// It belongs to another user, who could put keys of their own there.
    #[error("{} belongs to another user (uid {owner}): build as that user, or make it yours with chown", path.display())]
    NotOwned {
        /// The file or directory.
        path: PathBuf,
        /// Numeric owner.
        owner: u32,
    },
    /// It is a link, a device, a pipe, or a file in place of a directory.
    #[error("{} is not a plain {wanted}: pibake follows no links to secrets; move it away", path.display())]
    NotPlain {
        /// What was found.
        path: PathBuf,
        /// "file" or "directory".
        wanted: &'static str,
    },
    /// A part is missing.
    #[error(
        "{} is incomplete: {missing} is missing. Put it back from a copy; or, where no card was made \
         from it yet, remove the directory and it is made anew", dir.display()
    )]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// Name of the file in it.
        missing: &'static str,
    },
    /// A part is there and makes no sense.
    #[error("{} is damaged: {reason}. Put it back from a copy, or remove the directory to have all made anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts are not of one cluster.
    #[error(
        "{} holds parts of different clusters: {fault}. Put the right ones back from a copy, or \
         remove the directory and build all cards anew", dir.display()
    )]
    Mixed {
        /// The directory.
        dir: PathBuf,
        /// Which parts do not match.
        fault: &'static str,
    },
    /// It is of a cluster of another name.
    #[error(
        "{} belongs to the cluster {found:?}, but the description's name is {wanted:?}: set name = \
         {found:?}, or move the directory away to begin a new cluster", dir.display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// The name that it was made for.
        found: String,
        /// The description's.
        wanted: String,
    },
    /// The certificates are out of date.
    #[error(
        "the certificates in {} are not valid at this time ({fault}): check this machine's clock; if \
         it is right, move the directory away and build all cards anew", dir.display()
    )]
    OutOfDate {
        /// The directory.
        dir: PathBuf,
        /// Too early or too late.
        fault: &'static str,
    },
    /// The operating system gives no random bytes.
    #[error("asking the operating system for random bytes")]
    Random(#[from] getrandom::Error),
    /// A certificate cannot be made.
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A pair of SSH keys cannot be made.
    #[error("making a pair of SSH keys")]
    Ssh(#[from] ssh_key::Error),
}

/// A path as a shell takes it.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

impl Identity {
    /// Makes all secrets of a cluster, without a pair of SSH keys. `now` is in seconds since
    /// 1970; all else is random.
    pub fn make(cluster: &str, now: i64) -> Result<Self, Error> {
        let authority = authority::Authority::make(now)?;
        let (admin_certificate, admin_key) = authority.administrator()?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(Self {
            cluster: cluster.to_owned(),
            ca_certificate: authority.certificate(),
            ca_key: authority.key(),
            ca_hash: authority.hash(),
            not_before: authority.not_before,
            not_after: authority.not_after,
            token: token::make()?,
            admin_certificate,
            admin_key,
            ssh_key: None,
            salt: Secret::new(hex::encode(salt)),
        })
    }

    /// Who may log in: the user's keys or, where there are none, the pair made for the cluster.
    pub fn authorized_keys(&self, access: &Access) -> Vec<String> {
        match &self.ssh_key {
            Some(pair) if access.ssh_keys.is_empty() => vec![pair.public.clone()],
            _ => access.ssh_keys.clone(),
        }
    }
}
