//! Why a project cannot be opened.

use std::path::PathBuf;

use crate::cluster::{self, KubernetesVersion};
use crate::error::{Classified, ErrorClass};
use crate::identity::{self, Fixed};
use crate::recipe::{self, ExtrasError};

/// Why a project cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A description was named that is not there.
    #[error("{} does not exist: write one with pibake init, or leave -C/--config out", path.display())]
    NoConfig {
        /// As it was named.
        path: PathBuf,
    },
    /// There is no description, but a file with nearly its name.
    #[error(
        "there is no pibake.toml here, but {}: rename it, or name it with -C; without a description all defaults \
         would hold", found.display()
    )]
    Slip {
        /// The file that may be meant.
        found: PathBuf,
    },
    /// The description found in a folder above is another user's.
    #[error(
        "{}, the nearest description above this folder, belongs to another user (uid {owner}): name it with -C if \
         it is the one you want", path.display()
    )]
    Stranger {
        /// What was found.
        path: PathBuf,
        /// Numeric owner.
        owner: u32,
    },
    /// The folder that the program runs in cannot be looked at.
    #[error("looking for pibake.toml from this folder upwards")]
    Here(#[source] std::io::Error),
    /// A setting is not what the running cluster has, and cannot change any more.
    #[error(
        "{}: this cluster was made with {}, now it is {}; it cannot change once node-1 has started: {}. Set it back; \
         to begin this cluster anew, name its control plane with --node and write all cards again; for another one \
         move {} away",
        fixed.key, fixed.made, fixed.now, fixed.reason, state.display()
    )]
    Fixed {
        /// The setting.
        fixed: Fixed,
        /// Where the secrets are.
        state: PathBuf,
    },
    /// The Kubernetes asked for does not go with the API server that runs.
    #[error(
        "kubernetes.version: {asked} is {fault} than this cluster's {made}, as {}/identity.toml has it: \
         {advice}", state.display()
    )]
    Skew {
        /// What is asked for.
        asked: KubernetesVersion,
        /// What the cluster was made with.
        made: KubernetesVersion,
        /// "newer", or "too much older".
        fault: &'static str,
        /// What to do.
        advice: &'static str,
        /// Where the secrets are.
        state: PathBuf,
    },
    /// The description is not one that can be built.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The secrets cannot be made or used.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The user's own files cannot be used.
    #[error(transparent)]
    Extras(#[from] ExtrasError),
    /// A recipe cannot be made.
    #[error(transparent)]
    Recipe(#[from] recipe::Error),
    /// `SOURCE_DATE_EPOCH` is set and is no time.
    #[error("SOURCE_DATE_EPOCH must be a number of seconds since 1970; it is {0:?}")]
    Epoch(String),
    /// The machine's clock says a time before 1970.
    #[error("this machine's clock says that it is before 1970: set it right")]
    Clock,
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoConfig { .. } | Self::Slip { .. } | Self::Stranger { .. } | Self::Epoch(_) => {
                ErrorClass::Usage
            }
            Self::Here(source) => ErrorClass::of_io(source),
            Self::Fixed { .. } | Self::Skew { .. } => ErrorClass::Configuration,
            Self::Cluster(error) => error.class(),
            Self::Identity(error) => error.class(),
            Self::Extras(error) => error.class(),
            Self::Recipe(error) => error.class(),
            Self::Clock => ErrorClass::Failed,
        }
    }
}
