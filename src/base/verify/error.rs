//! Why a signature does not hold.

use crate::error::{Classified, ErrorClass};

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Bytes that are no OpenPGP signature or key.
    #[error("it is not in OpenPGP's format: {0}")]
    Malformed(String),
    /// There is nothing signed in it, or no key.
    #[error("there is no usable key in it")]
    NoKey,
    /// A signature file without a signature.
    #[error("there is no signature in it")]
    NoSignature,
    /// Signed by a key that is not accepted.
    #[error(
        "it is signed by {signer}, which is none of the accepted keys ({accepted}); for a mirror that signs with its own key give that key as the keyring"
    )]
    UnknownSigner {
        /// Fingerprint or key id of who claims to have signed, or "an unnamed key".
        signer: String,
        /// Fingerprints of the accepted keys.
        accepted: String,
    },
    /// Made by an accepted key, but not over these bytes.
    #[error("it is not a signature of these bytes: the list or the signature was changed")]
    Wrong,
    /// A signature that does not cover the exact bytes, or is meant for something else.
    #[error("it is of a kind that is not accepted: {0}")]
    Kind(String),
    /// A digest that can be forged.
    #[error("it is made with {0}, which can be forged")]
    WeakDigest(String),
    /// A key that can be broken.
    #[error("the key {0} is too weak")]
    WeakKey(String),
    /// A signature whose time is over.
    #[error("it expired on {0}")]
    Expired(String),
    /// A signature from the future.
    #[error("it says to be made on {0}, which is in the future: is this machine's clock right?")]
    NotYet(String),
    /// The signing key's time is over.
    #[error("the key {key} expired on {on}")]
    KeyExpired {
        /// Fingerprint.
        key: String,
        /// When.
        on: String,
    },
    /// The signing key was revoked.
    #[error("the key {0} was revoked by its owner")]
    KeyRevoked(String),
    /// A key that its owner did not make for signing, or whose self-signatures do not hold.
    #[error("the key {0} may not be used: {1}")]
    KeyUnfit(String, &'static str),
}

impl Classified for SignatureError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Malformed(..)
            | Self::NoKey
            | Self::NoSignature
            | Self::UnknownSigner { .. }
            | Self::Wrong
            | Self::Kind(..)
            | Self::WeakDigest(..)
            | Self::WeakKey(..)
            | Self::Expired(..)
            | Self::NotYet(..)
            | Self::KeyExpired { .. }
            | Self::KeyRevoked(..)
            | Self::KeyUnfit(..) => ErrorClass::Verification,
        }
    }
}

/// A day for people.
pub(crate) fn date(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |t| t.date().to_string())
}
