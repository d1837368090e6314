//! What can go wrong while images are written.

use std::io;
use std::path::PathBuf;

use crate::error::{Cause, Classified, ErrorClass};
use crate::io::{Cancelled, human_bytes};

/// Why a build did not write its images. No temporary file is left behind by any of these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output folder cannot be made or opened.
    #[error("making the output folder {path}; choose another one with -o")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The output folder, or one above it, is something else.
    #[error("{path} is not a folder; choose another output folder with -o")]
    NotAFolder {
        /// What stands in the way.
        path: PathBuf,
    },
    /// No file can be made in the output folder.
    #[error("making a file in {path}; choose another output folder with -o, or make this one writable")]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that is no file has the name of an image.
    #[error(
        "{path} is in the way of an image: it is not a regular file; move it, or choose another folder with -o"
    )]
    Obstructed {
        /// What stands in the way.
        path: PathBuf,
    },
    /// An image would replace the base that it is made from.
    #[error("{path} is the base image itself; choose another output folder with -o")]
    Base {
        /// The image, and the base.
        path: PathBuf,
    },
    /// A node's name cannot be the name of a file, or two nodes have the same.
    #[error("{name:?} cannot name an image: {reason}")]
    Name {
        /// The node's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The images do not fit.
    #[error(
        "not enough free space in {path} for {images} images: they need {}, and {} is free; \
         free some, or choose another output folder with -o",
        human_bytes(*needed), human_bytes(*free)
    )]
    NoRoom {
        /// The output folder.
        path: PathBuf,
        /// How many images are still to be written.
        images: usize,
        /// Bytes that they take, at the least.
        needed: u64,
        /// Bytes that this user may still fill.
        free: u64,
    },
    /// What is to be put over the base could not be made.
    #[error("baking {node}")]
    Bake {
        /// The node's name.
        node: String,
        /// Why, in the words of whoever bakes.
        source: Cause,
    },
    /// An image is written, and what belongs beside it is not.
    #[error("{path} is written, and not what belongs beside it")]
    Beside {
        /// The image.
        path: PathBuf,
        /// Why, in the words of whoever writes that.
        source: Cause,
    },
    /// An image is larger than the card that is made for it.
    #[error("the image for {path} has {image} bytes, and the card is to have {len}")]
    Outside {
        /// The card's file.
        path: PathBuf,
        /// Bytes of the image.
        image: u64,
        /// Bytes of the card.
        len: u64,
    },
    /// The base cannot be read.
    #[error("reading the base {path}")]
    Read {
        /// The base's raw file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image cannot be written.
    #[error("writing {path}")]
    Write {
        /// The image's final name.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user asked for the end.
    #[error("interrupted; images that were not complete have been removed")]
    Cancelled,
}

impl From<Cancelled> for Error {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Folder { source, .. }
            | Self::Unwritable { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. } => ErrorClass::of_io(source),
            Self::NotAFolder { .. } | Self::Name { .. } => ErrorClass::Usage,
            Self::Obstructed { .. } | Self::Base { .. } => ErrorClass::Refused,
            Self::NoRoom { .. } => ErrorClass::NoSpace,
            Self::Bake { source, .. } | Self::Beside { source, .. } => source.class(),
            Self::Outside { .. } => ErrorClass::Internal,
            Self::Cancelled => ErrorClass::Cancelled,
        }
    }
}
