//! The OpenPGP keys that may sign lists of digests.

use std::path::Path;

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::types::KeyDetails;

use super::error::SignatureError;
use super::key::Candidate;
use crate::base::Error;
use crate::io::read_small;

/// Fingerprint of the Ubuntu CD Image Automatic Signing Key (2012), the only key that is accepted
/// unless another keyring is given. Source: Debian's package `ubuntu-keyring`.
pub const UBUNTU_CD_IMAGE_KEY: &str = "843938df228d22f7b3742bc0d94aa3f0efe21092";

static UBUNTU: &[u8] = include_bytes!("keys/ubuntu-cd-image-2012.gpg");

/// A keyring file may hold a whole distribution's keys, but not more than this.
const LARGEST: u64 = 16 << 20;

/// The keys whose signatures are accepted.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

impl Keyring {
    /// The key that is built in, and no other.
    ///
    /// # Errors
    /// [`SignatureError::NoKey`] if the file that was built in is not that key.
    pub fn ubuntu() -> Result<Self, SignatureError> {
        Self::only(UBUNTU, UBUNTU_CD_IMAGE_KEY)
    }

    /// The key of `bytes` that has this fingerprint (hexadecimal, lower case), and no other.
    ///
    /// # Errors
    /// [`SignatureError::NoKey`] where there is none.
    pub fn only(bytes: &[u8], fingerprint: &str) -> Result<Self, SignatureError> {
        Self::parse(bytes)?.filter(&[fingerprint])
    }

    /// All keys of a file, binary or armoured.
    ///
    /// # Errors
    /// What reading the file answers, or [`SignatureError`] as for [`Keyring::parse`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = read_small(path, LARGEST).map_err(|e| Error::io("reading the keyring", path, e))?;
        Self::parse(&bytes).map_err(|source| Error::Keyring { path: path.to_owned(), source })
    }

    /// All keys in `bytes`, binary or armoured. Keys of kinds that are not understood are left out.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] where the bytes are no keys, [`SignatureError::NoKey`] where not
    /// one of them can be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let malformed = |e: pgp::errors::Error| SignatureError::Malformed(e.to_string());
        let (found, _) = SignedPublicKey::from_reader_many(bytes).map_err(malformed)?;
        let mut keys = Vec::new();
        for key in found {
            keys.push(key.map_err(malformed)?);
        }
        if keys.is_empty() { Err(SignatureError::NoKey) } else { Ok(Self { keys }) }
    }

    /// These keys and the other's.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// The keys of these fingerprints (hexadecimal, in any case) alone.
    ///
    /// # Errors
    /// [`SignatureError::NoKey`] where there is none.
    pub fn filter(mut self, fingerprints: &[&str]) -> Result<Self, SignatureError> {
        let is_named = |key: &SignedPublicKey| {
            let own = key.fingerprint().to_string();
            fingerprints.iter().any(|fingerprint| own.eq_ignore_ascii_case(fingerprint))
        };
        self.keys.retain(is_named);
        if self.keys.is_empty() { Err(SignatureError::NoKey) } else { Ok(self) }
    }

    /// The fingerprints of the primary keys, hexadecimal, lower case.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|k| k.fingerprint().to_string()).collect()
    }

    /// The keys that end, each with its fingerprint (hexadecimal, lower case) and its last second, since 1970. A key
    /// lasts as long as the last of its parts that may sign; one that is revoked, or never may, is none of these.
    #[must_use]
    pub fn ends(&self) -> Vec<(String, i64)> {
        let last = |key: &SignedPublicKey| {
            let ends: Vec<_> = Candidate::all(key).filter_map(|part| part.end().ok()).collect();
            let end = ends.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().max()?;
            Some((key.fingerprint().to_string(), end))
        };
        self.keys.iter().filter_map(last).collect()
    }

    pub(crate) fn keys(&self) -> &[SignedPublicKey] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_key_is_built_in() {
        assert_eq!(Keyring::ubuntu().unwrap().fingerprints(), [UBUNTU_CD_IMAGE_KEY]);
        assert_eq!(Keyring::parse(UBUNTU).unwrap().fingerprints(), [UBUNTU_CD_IMAGE_KEY]);
    }

    #[test]
    fn another_key_in_its_place_is_refused() {
        let other = "f6ecb3762474eda9d21b7022871920d1991bc93c";
        assert!(matches!(Keyring::only(UBUNTU, other), Err(SignatureError::NoKey)));
        assert!(Keyring::parse(b"no key").is_err());
        assert!(Keyring::parse(b"").is_err());
    }
}
