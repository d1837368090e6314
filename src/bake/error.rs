//! Why a node could not be baked.

use std::io;

use super::remains::Used;
use crate::disk::TableError;
use crate::error::{Classified, ErrorClass};
use crate::recipe::Volume;
use crate::{firmware, fs};

/// Why a node could not be baked. The base is never touched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The base's partition table cannot be used.
    #[error("reading the base image's partitions")]
    Table(#[from] TableError),
    /// One of the base's file systems cannot be used, or a change cannot be made.
    #[error("editing the {} partition", match volume { Volume::Boot => "boot", Volume::Root => "root" })]
    FileSystem {
        /// Which one.
        volume: Volume,
        /// Why.
        #[source]
        source: fs::Error,
    },
    /// The partitions that a Pi image has were not found.
    #[error("finding the partitions of a Raspberry Pi image")]
    Layout(#[source] fs::Error),
    /// The base belongs to a cluster already.
    #[error(transparent)]
    Used(#[from] Used),
    /// It cannot be told which command line the kernel gets.
    #[error("finding the kernel's command line")]
    CommandLine(#[from] firmware::Error<fs::Error>),
    /// An editor gave up on metadata that makes no sense.
    #[error("the base image's file systems are damaged: the editor stopped with {0:?}. Take a fresh image")]
    Panicked(String),
    /// Reading the base failed.
    #[error("reading the base image")]
    Read(#[source] io::Error),
    /// What was written is not what was to be written.
    #[error("verification failed: what was baked does not read back as it was meant")]
    ReadBack(#[from] Mismatch),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Table(error) => error.class(),
            Self::FileSystem { source, .. } | Self::Layout(source) => source.class(),
            Self::Used(error) => error.class(),
            Self::CommandLine(error) => error.class(),
            Self::Panicked(_) => ErrorClass::Damaged,
            Self::Read(source) => ErrorClass::of_io(source),
            Self::ReadBack(error) => error.class(),
        }
    }
}

/// A path that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {path} back: {difference}")]
pub struct Mismatch {
    /// The path, with its partition.
    pub path: String,
    /// What was found, and what should have been.
    pub difference: String,
}

impl Classified for Mismatch {
    fn class(&self) -> ErrorClass {
        ErrorClass::Verification
    }
}
