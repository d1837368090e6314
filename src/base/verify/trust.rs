//! Why the bytes of an image are believed to be the right ones.

use std::fmt;

/// Why the bytes of an image are believed to be the right ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Its digest stands in a list signed by the key with this fingerprint.
    Signed(String),
    /// Its digest was given by the user.
    Given,
    /// Its digest stands in a list that came over HTTPS, but is not signed.
    Listed,
    /// It is the user's own file, and its digest stands in a SHA256SUMS beside it that is not signed.
    Beside,
    /// It is the user's own file.
    Own,
    /// It is part of pibake.
    BuiltIn,
    /// Nothing vouches for it, and the user accepted that.
    Nothing,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(key) => write!(f, "signed by {key}"),
            Self::Given => f.write_str("has the digest that was given"),
            Self::Listed => f.write_str("listed in SHA256SUMS, fetched over HTTPS"),
            Self::Beside => f.write_str("a file of your own, listed in the SHA256SUMS beside it"),
            Self::Own => f.write_str("a file of your own"),
            Self::BuiltIn => f.write_str("built in"),
            Self::Nothing => f.write_str("unverified"),
        }
    }
}
