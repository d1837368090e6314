//! Why a project cannot be opened.

use std::path::{Path, PathBuf};

use crate::cluster::{self, EditError, KubernetesVersion};
use crate::error::{Classified, ErrorClass};
use crate::identity::snapshot::STORE_COPY;
use crate::identity::{self, Fixed, SnapshotError};
use crate::io::{LockError, shell_word};
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
    /// A copy of etcd is of another Kubernetes than the one asked for.
    #[error(
        "kubernetes.version: it is {asked}, and the copy of etcd is of {copied}: leave it out or set it to \"1.{}\", \
         and upgrade the cluster once it runs", copied.minor
    )]
    OtherVersion {
        /// What is asked for.
        asked: KubernetesVersion,
        /// What the copy was made under.
        copied: KubernetesVersion,
    },
    /// A cluster is to be restored whose secrets are not here.
    #[error(
        "there is no {}, without which no copy of etcd can be restored: put it back from a copy{}", state.display(),
        from_backup(copy, state)
    )]
    NothingToRestore {
        /// Where the secrets would be.
        state: PathBuf,
        /// The copy of etcd.
        copy: PathBuf,
    },
    /// The copy of etcd cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The description cannot be written.
    #[error("writing {}", file.display())]
    Rewriting {
        /// The description.
        file: PathBuf,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// The description cannot be changed in place.
    #[error("changing {}: set {key} = \"{value}\" below [kubernetes] yourself", file.display())]
    Editing {
        /// The description.
        file: PathBuf,
        /// The key.
        key: String,
        /// What it must be.
        value: String,
        /// Why not.
        source: EditError,
    },
    /// The lock of upgrades cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
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

/// How to put the secrets back that `pibake backup` put beside the copy.
fn from_backup(copy: &Path, state: &Path) -> String {
    let around = if copy.is_dir() { Some(copy) } else { copy.parent() };
    match around.map(|dir| dir.join(STORE_COPY)).filter(|dir| dir.is_dir()) {
        Some(own) => {
            format!(", such as the one in the backup: cp -a {} {}", shell_word(&own), shell_word(state))
        }
        None => String::new(),
    }
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoConfig { .. } | Self::Slip { .. } | Self::Stranger { .. } | Self::Epoch(_) => {
                ErrorClass::Usage
            }
            Self::Here(source) => ErrorClass::of_io(source),
            Self::Fixed { .. } | Self::Skew { .. } | Self::OtherVersion { .. } => ErrorClass::Configuration,
            Self::NothingToRestore { .. } => ErrorClass::Usage,
            Self::Rewriting { source, .. } => ErrorClass::of_named(source),
            Self::Editing { source, .. } => source.class(),
            Self::Lock(error) => error.class(),
            Self::Snapshot(error) => error.class(),
            Self::Cluster(error) => error.class(),
            Self::Identity(error) => error.class(),
            Self::Extras(error) => error.class(),
            Self::Recipe(error) => error.class(),
            Self::Clock => ErrorClass::Failed,
        }
    }
}
