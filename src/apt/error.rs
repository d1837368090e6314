//! Why packages cannot be had from a repository.

use super::control::ControlError;
use super::release::ReleaseError;
use crate::base;
use crate::error::{Classified, ErrorClass};

/// Why packages could not be had from a repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the network, the cache or a signature said.
    #[error(transparent)]
    Fetch(#[from] base::Error),
    /// There is no repository at the address.
    #[error(
        "there is no repository at {url}: neither InRelease nor Release is there; check address and suite"
    )]
    NoRepository {
        /// The folder that should have it.
        url: String,
    },
    /// Nobody signed it.
    #[error("the repository at {url} is not signed: there is a Release, but no InRelease and no Release.gpg")]
    Unsigned {
        /// The folder of its Release.
        url: String,
    },
    /// Its `Release` file is not believed.
    #[error("checking the repository at {url}")]
    Release {
        /// The folder of its Release.
        url: String,
        /// Why.
        source: ReleaseError,
    },
    /// An index is damaged.
    #[error("reading {url}")]
    Index {
        /// The index.
        url: String,
        /// What is wrong in it.
        source: ControlError,
    },
    /// An index unpacks to more than it may.
    #[error(
        "{url} unpacks to more than {limit} bytes, its size by the repository's signed list; use another mirror"
    )]
    Unpacked {
        /// The index.
        url: String,
        /// What it may unpack to.
        limit: u64,
    },
    /// An address in it is not one.
    #[error("the repository's address {url} does not go together with {path:?}")]
    Address {
        /// The repository.
        url: String,
        /// The path in it.
        path: String,
    },
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Fetch(error) => error.class(),
            Self::Release { source, .. } => source.class(),
            Self::Index { source, .. } => source.class(),
            Self::NoRepository { .. } => ErrorClass::Network,
            Self::Unsigned { .. } | Self::Unpacked { .. } => ErrorClass::Verification,
            Self::Address { .. } => ErrorClass::Configuration,
        }
    }
}
