//! A pair of SSH keys for clusters whose users gave none.

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
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        Self::of(&PrivateKey::new(pair, format!("pibake@{cluster}"))?)
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
