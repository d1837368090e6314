//! Pairs of SSH keys: the one for clusters whose users gave none, and the nodes' own.

use sha2::{Digest, Sha256};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

use super::error::Error;
use crate::cluster::Secret;

/// A pair of SSH keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKeyPair {
    /// The public half, a line as in `authorized_keys`.
    pub public: String,
    /// The private half in OpenSSH's own format.
    pub private: Secret,
}

impl SshKeyPair {
    /// A new Ed25519 pair, named after its cluster.
    pub(super) fn make(cluster: &str) -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Self::of_seed(&seed, format!("pibake@{cluster}"))
    }

    fn of_seed(seed: &[u8; 32], comment: String) -> Result<Self, Error> {
        let pair = KeypairData::from(Ed25519Keypair::from_seed(seed));
        Self::of(&PrivateKey::new(pair, comment)?)
    }

    /// The pair of a private half.
    pub(super) fn read(private: &str) -> Result<Self, Error> {
        Self::of(&PrivateKey::from_openssh(private)?)
    }

    fn of(key: &PrivateKey) -> Result<Self, Error> {
        Ok(Self {
            public: key.public_key().to_openssh()?,
            private: Secret::new(key.to_openssh(LineEnding::LF)?.as_str()),
        })
    }
}

/// What the host keys of all nodes are made of, so that a card that is written again has the key that the last
/// one had, and whoever logs in is asked nothing. A node's key tells nothing of another's, nor of the key of copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeys(Secret);

impl HostKeys {
    /// Bytes of the seed.
    const LENGTH: usize = 32;

    pub(super) fn make() -> Result<Self, Error> {
        let mut seed = [0; Self::LENGTH];
        getrandom::fill(&mut seed)?;
        Ok(Self(Secret::new(hex::encode(seed))))
    }

    /// Of a seed in hex digits; `None` where it is none of the right length.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim_end();
        let is_seed = hex::decode(text).is_ok_and(|seed| seed.len() == Self::LENGTH);
        is_seed.then(|| Self(Secret::new(text)))
    }

    pub(super) fn text(&self) -> Secret {
        Secret::new(format!("{}\n", self.0.reveal()))
    }

    /// What copies of etcd are encrypted with, 64 hex digits.
    #[must_use]
    pub fn backup_key(&self) -> Secret {
        let mut hash = Sha256::new_with_prefix("pibake: copies of etcd");
        hash.update(self.0.reveal());
        Secret::new(hex::encode(hash.finalize()))
    }

    /// The pair of the node with this number, an Ed25519 one; the same each time.
    ///
    /// # Errors
    /// [`Error::Ssh`] where it cannot be written in OpenSSH's format.
    pub fn of(&self, number: u16, name: &str) -> Result<SshKeyPair, Error> {
        let mut hash = Sha256::new_with_prefix("pibake: SSH host key");
        hash.update(self.0.reveal());
        hash.update(number.to_be_bytes());
        SshKeyPair::of_seed(&hash.finalize().into(), name.to_owned())
    }
}
