//! Why a node could not be baked.

use std::io;

use crate::disk::TableError;
use crate::error::{Classified, ErrorClass};
use crate::image_path::ImagePath;
use crate::io::human_bytes;
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
    /// What was baked before cannot be read.
    #[error("comparing the {} partition", match volume { Volume::Boot => "boot", Volume::Root => "root" })]
    Comparing {
        /// Which one.
        volume: Volume,
        /// Why not.
        source: fs::Error,
    },
    /// The partitions that a Pi image has were not found.
    #[error("finding the partitions of a Raspberry Pi image")]
    Layout(#[source] fs::Error),
    /// The image would have fewer bytes than the base.
    #[error(
        "image.size: the image is to have {image} bytes ({}), and the base image has {base} already ({}): ask for no \
         less, or leave image.size out", human_bytes(*image), human_bytes(*base)
    )]
    Smaller {
        /// Bytes asked for.
        image: u64,
        /// Bytes of the base.
        base: u64,
    },
    /// The partition table does not let the image become larger.
    #[error("making the image {} long: leave image.size out to keep the size of the base", human_bytes(*image))]
    Enlarging {
        /// Bytes of the image.
        image: u64,
        /// Why.
        source: TableError,
    },
    /// The image is too small for what goes into it.
    #[error(
        "image.size: an image of {} has {} free for what goes into it, and needs {}: set it larger, or leave it out",
        human_bytes(*image), human_bytes(*free), human_bytes(*needed)
    )]
    NoRoom {
        /// Bytes of the image.
        image: u64,
        /// Bytes free in its root file system.
        free: u64,
        /// Bytes needed there.
        needed: u64,
    },
    /// What is to be laid into the image cannot be read.
    #[error("laying {path} into the image")]
    Content {
        /// The file.
        path: ImagePath,
        /// Why not.
        source: io::Error,
    },
    /// No kernel of the base has a module that the node needs.
    #[error(
        "the base image's kernel has no module {name}, which {setting} needs; where Ubuntu has it in a package of its \
         own (linux-modules-extra-raspi), install that into an image of yours, or leave {setting} out"
    )]
    KernelModule {
        /// The module.
        name: &'static str,
        /// The key of the description that asks for it.
        setting: &'static str,
    },
    /// The base belongs to a cluster already.
    #[error(transparent)]
    Used(#[from] Used),
    /// It cannot be told which command line the kernel gets.
    #[error("finding the kernel's command line")]
    CommandLine(#[from] firmware::Error<fs::Error>),
    /// The base lacks what the board needs, or it cannot be told.
    #[error("looking for what the board needs")]
    Board(#[source] firmware::Error<fs::Error>),
    /// The base has an upgrade on it that was not started yet.
    #[error(
        "{folder} on the boot partition holds a kernel that the base installed and has not started yet: what is baked \
         beside it would be lost when it is. Start that system once more, until {folder} is gone, or take a fresh image"
    )]
    PendingTrial {
        /// The folder.
        folder: ImagePath,
    },
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
            Self::Table(error) | Self::Enlarging { source: error, .. } => error.class(),
            Self::Smaller { .. } | Self::NoRoom { .. } | Self::KernelModule { .. } => {
                ErrorClass::Configuration
            }
            Self::FileSystem { source, .. } | Self::Comparing { source, .. } | Self::Layout(source) => {
                source.class()
            }
            Self::Content { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                ErrorClass::Verification
            }
            Self::Content { source, .. } => ErrorClass::of_io(source),
            Self::Used(error) => error.class(),
            Self::CommandLine(error) | Self::Board(error) => error.class(),
            Self::PendingTrial { .. } => ErrorClass::Refused,
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

/// How many finds an error names.
const NAMED: usize = 5;

/// A base that nothing can be baked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the base image was a node already{}: it holds {}. Cards made from it would share what belongs to that cluster, \
     or not set themselves up. Take the release's own image, or remove these from yours",
    named(node.as_deref()),
    list(found)
)]
pub struct Used {
    /// Whose node it was, as its own files say.
    pub(super) node: Option<String>,
    /// Paths, and what they are.
    pub(super) found: Vec<(ImagePath, &'static str)>,
}

impl Classified for Used {
    fn class(&self) -> ErrorClass {
        ErrorClass::Refused
    }
}

fn named(node: Option<&str>) -> String {
    node.map_or_else(String::new, |node| format!(" ({node})"))
}

fn list(found: &[(ImagePath, &'static str)]) -> String {
    let each = found.iter().take(NAMED).map(|(path, what)| format!("{path} ({what})"));
    let mut list = each.collect::<Vec<_>>().join(", ");
    if found.len() > NAMED {
        list += &format!(" and {} more", found.len() - NAMED);
    }
    list
}
