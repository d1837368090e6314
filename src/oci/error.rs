//! What can go wrong between the name of a container image and its parts in the cache.

use std::path::PathBuf;

use super::manifest::InvalidManifest;
use crate::base;
use crate::catalog::Digest;
use crate::error::{Classified, ErrorClass};
use crate::http;
use crate::registry::InvalidReference;

/// The result of work on container images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no container image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),

    /// A download, the cache, or the disk.
    #[error(transparent)]
    Base(#[from] base::Error),

    /// None of the servers that were asked gives it.
    #[error("getting the image {image}: {}", faults.join("; "))]
    Nowhere {
        /// The image.
        image: String,
        /// What each of them says, the first one first.
        faults: Vec<String>,
        /// Whether it was the network, or bytes that are not what they should be.
        class: ErrorClass,
    },

    /// An image for other machines.
    #[error(
        "the image {image} is not made for a Raspberry Pi (linux/arm64), but for {}: give another tag, or another image",
        if has.is_empty() { "nothing".to_owned() } else { has.join(", ") }
    )]
    NoArm64 {
        /// The image.
        image: String,
        /// The platforms that it is made for.
        has: Vec<String>,
    },

    /// An index or a manifest that cannot be used.
    #[error("reading {what} of the image {image}")]
    Manifest {
        /// The image.
        image: String,
        /// Which of its parts, with its digest.
        what: String,
        /// What is wrong with it.
        source: InvalidManifest,
    },

    /// Something of the image that is not as its manifest or index promises.
    #[error("the image {image} is inconsistent: {fault}; have it pushed again, or give another tag")]
    Inconsistent {
        /// The image.
        image: String,
        /// How.
        fault: String,
    },

    /// Indices of indices without end.
    #[error("the image {image} is an index of indices of indices: more than {limit} are not followed")]
    Nested {
        /// The image.
        image: String,
        /// How many are followed.
        limit: u32,
    },

    /// Docker's configuration cannot be read.
    #[error("reading the logins for registries in {}: {reason}; correct it, or name another folder in DOCKER_CONFIG", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// What is in the cache is not what was put there.
    #[error("{} is damaged: it is not {digest}; remove it, and try again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        digest: Digest,
    },

    /// A registry does not take what is put there.
    #[error("putting {what} into {repository}: {reason}")]
    Refused {
        /// What was to be put there.
        what: String,
        /// Where.
        repository: String,
        /// What the registry says, and what to do.
        reason: String,
        /// Whether it may take it later.
        class: ErrorClass,
    },

    /// A registry does not let this user do it.
    #[error("logging in for {repository}: {reason}")]
    Login {
        /// What it is about.
        repository: String,
        /// What the registry says, and what to do.
        reason: String,
    },

    /// What a registry has under a digest is not what that is of.
    #[error(
        "{repository} has {found} bytes as sha256:{digest}, which has {len}: its copy is damaged, and a registry keeps what it has; have it removed there (with the repository, where there is no other way), and push again"
    )]
    Short {
        /// What it should be.
        digest: Digest,
        /// Where.
        repository: String,
        /// How many bytes it has.
        found: u64,
        /// How many it should have.
        len: u64,
    },

    /// Not all of the tags that a repository has.
    #[error("the list of tags of {repository} cannot be used: {fault}")]
    Tags {
        /// The repository.
        repository: String,
        /// What is wrong with it.
        fault: String,
    },

    /// The archive cannot be written.
    #[error("writing the archive of container images")]
    Write(#[source] std::io::Error),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Reference(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::Nowhere { class, .. } | Self::Refused { class, .. } => *class,
            Self::NoArm64 { .. } | Self::Credentials { .. } | Self::Login { .. } => ErrorClass::Configuration,
            Self::Manifest { source, .. } => source.class(),
            Self::Inconsistent { .. }
            | Self::Nested { .. }
            | Self::Damaged { .. }
            | Self::Short { .. }
            | Self::Tags { .. } => ErrorClass::Verification,
            Self::Write(source) => ErrorClass::of_io(source),
        }
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        Self::Base(error.into())
    }
}
