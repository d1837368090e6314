//! Why a user's overlays could not be read.

use std::io;
use std::path::PathBuf;

use crate::error::{Classified, ErrorClass};
use crate::image_path::ImagePath;

/// Most bytes that a user's overlays may hold in all. Every recipe carries them in memory, and
/// what is larger is better fetched by the node.
pub const MAX_OVERLAY_BYTES: u64 = 32 << 20;

/// Why a user's overlays could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// A file or folder could not be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something stands beside the folders that pibake knows.
    #[error(
        "{} has no place: overlays are in the folders common, control-plane, worker and cloud-init",
        path.display()
    )]
    NoLayer {
        /// What.
        path: PathBuf,
    },
    /// A device, socket or pipe; or a link or folder that FAT cannot hold.
    #[error("{} cannot be baked: only files{} can", path.display(), if *boot { "" } else { ", links and folders" })]
    Kind {
        /// What.
        path: PathBuf,
        /// It would land on the boot file system.
        boot: bool,
    },
    /// A name that no image can hold, or one that is not Unicode.
    #[error("{} cannot be baked under that name: {reason}", path.display())]
    Name {
        /// What.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Both `x` and `x.j2` are there.
    #[error("{} is there twice: as a template (.j2) and as it is", path.display())]
    Twice {
        /// The second one.
        path: PathBuf,
    },
    /// Two names that are one on a file system that knows no case.
    #[error("{} and {} are one file on the boot partition, which knows no case", path.display(), other.display())]
    SameName {
        /// One.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A path that pibake itself must write, or that no node would see.
    #[error("{} cannot be baked: {instead}", path.display())]
    Reserved {
        /// What.
        path: PathBuf,
        /// Why, and what to do instead.
        instead: &'static str,
    },
    /// A folder where pibake writes a file, or a file where it makes a folder.
    #[error("{} cannot be baked: pibake writes {place}, which could not be there then; take a file of that name to replace it", path.display())]
    OtherKind {
        /// What.
        path: PathBuf,
        /// The file of pibake's.
        place: ImagePath,
    },
    /// A link that is called like a template: nothing would render it.
    #[error("{} is a link, which is baked as it is: put the template itself there, or call the link something that does not end in .j2", path.display())]
    LinkedTemplate {
        /// What.
        path: PathBuf,
    },
    /// A file that would give its user's rights to whoever starts it.
    #[error("{} has the set-user-ID or set-group-ID bit, which is not baked: everything belongs to root on a card", path.display())]
    SetId {
        /// What.
        path: PathBuf,
    },
    /// A file that others may not read, for a file system on which everybody may.
    #[error(
        "{} is readable by you alone, and anyone who holds the card can read the boot partition: \
         run chmod a+r on it if that may be so, or put it into common/",
        path.display()
    )]
    PrivateOnBoot {
        /// What.
        path: PathBuf,
    },
    /// More than a recipe should carry.
    #[error(
        "the overlays in {} hold more than {} MiB; let the nodes fetch what is that large",
        dir.display(), MAX_OVERLAY_BYTES >> 20
    )]
    TooLarge {
        /// The folder.
        dir: PathBuf,
    },
}

impl Classified for OverlayError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { .. }
            | Self::NoLayer { .. }
            | Self::Kind { .. }
            | Self::Name { .. }
            | Self::Twice { .. }
            | Self::SameName { .. }
            | Self::Reserved { .. }
            | Self::OtherKind { .. }
            | Self::LinkedTemplate { .. }
            | Self::SetId { .. }
            | Self::PrivateOnBoot { .. }
            | Self::TooLarge { .. } => ErrorClass::Configuration,
        }
    }
}
