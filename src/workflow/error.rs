//! What can go wrong on the way that is no single room's.

use std::io;
use std::path::PathBuf;

use crate::cluster::Problem;
use crate::cluster::platform::UnknownPlatform;
use crate::error::{Classified, ErrorClass};
use crate::image_path::InvalidImagePath;
use crate::{bake, base, opened, payload, project};

/// Why nodes cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The description, or the secrets beside it.
    #[error(transparent)]
    Project(#[from] project::Error),
    /// The base image cannot be had.
    #[error(transparent)]
    Base(#[from] base::Error),
    /// A recipe cannot be applied.
    #[error(transparent)]
    Bake(#[from] bake::Error),
    /// What is preloaded cannot be had.
    #[error(transparent)]
    Payload(#[from] payload::Error),
    /// The image has the login's name in use.
    #[error(transparent)]
    Login(#[from] Problem),
    /// A node was named that the cluster does not have.
    #[error("there is no node {asked}; the cluster has {}", names.join(", "))]
    NoSuchNode {
        /// As it was named.
        asked: String,
        /// All that there are.
        names: Vec<String>,
    },
    /// Cards of workers alone were asked for, and the cluster that they would join is not here.
    #[error(
        "there is no {}, so there is no cluster yet that {} could join: run this in the cluster's folder, or put \
         .pibake back from a copy; for a new cluster build the control plane as well, or add --new-cluster",
        state.display(), names.join(", ")
    )]
    NoCluster {
        /// Where its secrets would be.
        state: PathBuf,
        /// The nodes that were asked for.
        names: Vec<String>,
    },
    /// A new cluster was asked for where there is one.
    #[error(
        "--new-cluster: there is a cluster in {} already: move that away first, and keep it as long as cards of it \
         are in use", state.display()
    )]
    ClusterExists {
        /// Where its secrets are.
        state: PathBuf,
    },
    /// A digest was given for the image that is built in.
    #[error("a digest (--sha256, base.sha256) does not go with the built-in sample: leave it out")]
    DigestOfSample,
    /// The image cannot be looked into, or says of itself what is not known.
    #[error("finding out what system {} holds", image.display())]
    Examining {
        /// The raw image.
        image: PathBuf,
        /// Why.
        source: Unexamined,
    },
    /// The image cannot be opened.
    #[error("opening the base image {}", image.display())]
    Open {
        /// The raw image.
        image: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image does not say what system it holds.
    #[error("{} has no os-release: set base.platform to the system that it holds", image.display())]
    NoOsRelease {
        /// The raw image.
        image: PathBuf,
    },
    /// What an image holds is asked, and it is not on this machine.
    #[error(
        "{image} is not in the cache, and what system it holds is known only when it is here: run pibake fetch, or \
         set base.platform"
    )]
    NotHere {
        /// The base image as it was named.
        image: String,
    },
    /// There is neither a cache nor a folder to do without one.
    #[error("making a folder for the image's checksum")]
    Scratch(#[source] io::Error),
    /// A node was asked for that no recipe was made for: a fault in pibake.
    #[error("{node} has no recipe; please report this")]
    NoRecipe {
        /// The node.
        node: String,
    },
}

/// Why it is not known what an image holds.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Unexamined {
    /// It cannot be opened or read.
    Opened(#[from] opened::Error),
    /// It says of itself what nothing is known of.
    Unknown(#[from] UnknownPlatform),
    /// No path in it can have this name.
    Path(#[from] InvalidImagePath),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Project(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::Bake(error) => error.class(),
            Self::Payload(error) => error.class(),
            Self::Login(error) => error.class(),
            Self::NoSuchNode { .. }
            | Self::NoCluster { .. }
            | Self::DigestOfSample
            | Self::NotHere { .. } => ErrorClass::Usage,
            Self::ClusterExists { .. } => ErrorClass::Refused,
            Self::Examining { source, .. } => source.class(),
            Self::NoOsRelease { .. } => ErrorClass::Configuration,
            Self::Open { source, .. } => ErrorClass::of_named(source),
            Self::Scratch(source) => ErrorClass::of_io(source),
            Self::NoRecipe { .. } => ErrorClass::Internal,
        }
    }
}

impl Classified for Unexamined {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Opened(error) => error.class(),
            Self::Unknown(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}
