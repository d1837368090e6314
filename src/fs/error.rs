//! What can be wrong with a file system inside an image.

use std::io;

use crate::error::{Classified, ErrorClass};
use crate::image_path::ImagePath;

/// Why a file system cannot be used, or an edit cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No partition holds what is looked for.
    #[error(
        "the image has no {wanted}: partitions found: {found}. Is it an Ubuntu image for the Raspberry Pi?"
    )]
    NoSuchPartition {
        /// What it would be.
        wanted: &'static str,
        /// What is there instead.
        found: String,
    },
    /// The partition does not hold such a file system.
    #[error("there is no {wanted} file system in it: {why}")]
    NotThere {
        /// The file system expected.
        wanted: &'static str,
        /// What speaks against it.
        why: String,
    },
    /// The file system was not unmounted cleanly, or has known errors.
    #[error(
        "the {fs} file system is not clean: {why}. Editing it could lose data; take a fresh image, or run {repair} on it"
    )]
    NotClean {
        /// Which file system.
        fs: &'static str,
        /// What is pending.
        why: &'static str,
        /// The program that repairs it.
        repair: &'static str,
    },
    /// It uses features that the editor cannot keep right.
    #[error(
        "the {fs} file system uses what pibake cannot edit safely: {features}. \
         Take an image without it; Ubuntu's own have none of this"
    )]
    Incompatible {
        /// Which file system.
        fs: &'static str,
        /// The features, by name or as bits.
        features: String,
    },
    /// A time lies outside of what it can keep.
    #[error(
        "the file system keeps times from {first} to {last} seconds after 1970, and this is second {seconds}: \
         set SOURCE_DATE_EPOCH or the clock, or take an image whose inodes are larger than 128 bytes"
    )]
    Time {
        /// What was to be written, in seconds since 1970.
        seconds: i64,
        /// The first that can be.
        first: i64,
        /// The last.
        last: i64,
    },
    /// Something in it contradicts itself.
    #[error("the file system is damaged at {path}: {why}")]
    Corrupt {
        /// What was worked on.
        path: String,
        /// What was found.
        why: String,
    },
    /// It cannot be given that size.
    #[error("the {fs} file system cannot be made {wanted} bytes long: {why}")]
    Size {
        /// Which file system.
        fs: &'static str,
        /// The length asked for.
        wanted: u64,
        /// What stands against it, and what could be asked for instead.
        why: String,
    },
    /// There is no room left in the file system.
    #[error("no space left in the image's file system for {path}")]
    Full {
        /// What was to be written.
        path: String,
    },
    /// The path cannot be used for what was asked.
    #[error("{path}: {why}")]
    Path {
        /// The path.
        path: String,
        /// Why not.
        why: String,
    },
    /// It is larger than what is held in memory of it.
    #[error("{path} has {len} bytes, and at most {limit} are read of it: this is not what it should be")]
    TooLarge {
        /// What was to be read.
        path: String,
        /// Its length in bytes.
        len: u64,
        /// What is read at most.
        limit: u64,
    },
    /// Reading or writing the device, or the content given, failed.
    #[error("{doing}")]
    Io {
        /// What was done.
        doing: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoSuchPartition { .. } | Self::NotThere { .. } | Self::Path { .. } => ErrorClass::Usage,
            Self::NotClean { .. } => ErrorClass::Refused,
            // it is the image that has to be another one, as where it is a node
            Self::Incompatible { .. } | Self::Time { .. } | Self::Size { .. } => ErrorClass::Configuration,
            Self::Corrupt { .. } | Self::TooLarge { .. } => ErrorClass::Damaged,
            Self::Full { .. } => ErrorClass::NoSpace,
            Self::Io { source, .. } => ErrorClass::of_io(source),
        }
    }
}

impl Error {
    /// `path` contradicts itself.
    pub(crate) fn corrupt(path: &ImagePath, why: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_string(), why: why.into() }
    }

    /// `path` has more bytes than are read of it.
    pub(crate) fn too_large(path: &ImagePath, len: u64, limit: u64) -> Self {
        Self::TooLarge { path: path.to_string(), len, limit }
    }

    /// `path` is not fit for what was asked.
    pub fn path(path: &ImagePath, why: impl Into<String>) -> Self {
        Self::Path { path: path.to_string(), why: why.into() }
    }

    /// An input or output error while `doing`.
    pub fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }
}
