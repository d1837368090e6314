//! Why there is no usable copy of etcd.

use std::io;
use std::path::{Path, PathBuf};

use super::names::{MOST, STORE_COPY};
use crate::error::{Classified, ErrorClass};
use crate::io::shell_word;

/// Why there is no usable copy of etcd.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be opened or read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// What is in it cannot be written.
    #[error("writing what is in {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is something else, or not all of it.
    #[error("{} is not a whole copy of etcd: {reason}. Use another copy, or fetch one with pibake backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was taken of another cluster, or of this one under another CA.
    #[error(
        "{} is a copy of another cluster: its nodes trust another CA than the one in {}. Use it in its own cluster's \
         folder{}", path.display(), store.display(), beside(path, store)
    )]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// Where this cluster's secrets are.
        store: PathBuf,
    },
    /// It is larger than what can be baked.
    #[error("{} has more than {} MiB when compressed, and so much cannot be baked onto a card", path.display(), MOST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// What else can be done where the copy has its own secrets beside it.
fn beside(path: &Path, store: &Path) -> String {
    let own = path.with_file_name(STORE_COPY);
    if !own.is_dir() {
        return String::new();
    }
    format!(
        "; if that folder is lost, move {} away and copy the one that the backup has: cp -a {} {}",
        store.display(),
        shell_word(&own),
        shell_word(store)
    )
}

impl Classified for SnapshotError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => ErrorClass::of_named(source),
            Self::Write { source, .. } => ErrorClass::of_io(source),
            Self::Damaged { .. } => ErrorClass::Verification,
            Self::OtherCluster { .. } => ErrorClass::Refused,
            Self::TooLarge { .. } => ErrorClass::NoSpace,
        }
    }
}

/// What is wrong with a copy, whatever it is called.
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
    Damaged(String),
    TooLarge,
}

impl Fault {
    pub(super) fn of(self, path: &Path) -> SnapshotError {
        let path = path.to_owned();
        match self {
            Self::Read(source) => SnapshotError::Read { path, source },
            Self::Write(source) => SnapshotError::Write { path, source },
            Self::Damaged(reason) => SnapshotError::Damaged { path, reason },
            Self::TooLarge => SnapshotError::TooLarge { path },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends in the middle".to_owned()),
            // What the decryption and the decompression say; the operating system has other kinds.
            io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged("it is damaged".to_owned())
            }
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Read(error),
        }
    }
}
