//! What can go wrong while a card is written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Cause, Classified, ErrorClass};
use crate::io::Cancelled;

/// Why a card is not done. What is known of its first MiB is told by [`super::Head`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The card holds less than the image.
    #[error("{card} is too small: it has {size} bytes, and the image {needed}")]
    TooSmall {
        /// The drive.
        card: String,
        /// Bytes that it has.
        size: u64,
        /// Bytes that it would need.
        needed: u64,
    },
    /// The drive answered with an error.
    #[error("{doing} {card} at byte {offset}")]
    Io {
        /// What was done: "writing".
        doing: &'static str,
        /// The drive.
        card: String,
        /// Where on it.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The drive was pulled out.
    #[error("{card} is no longer there: was it pulled out?")]
    Gone {
        /// The drive.
        card: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was written does not read back, twice.
    #[error(
        "this card is bad or lying about its size: {card} does not give back at byte {offset} what was \
         written there{}",
        if *again { ", nor after another try" } else { "" }
    )]
    Bad {
        /// The drive.
        card: String,
        /// Where on it.
        offset: u64,
        /// It was written again before.
        again: bool,
        /// Why reading failed, where it did.
        source: Option<io::Error>,
    },
    /// The file systems on the card are not as they must be.
    #[error("this card is bad or lying about its size: what {card} holds does not read as it was baked")]
    Proof {
        /// The drive.
        card: String,
        /// What differs.
        source: Cause,
    },
    /// What is to be written could not be made.
    #[error("baking {node}: {card} does not get an image that is not configured")]
    Bake {
        /// The node's name.
        node: String,
        /// The drive.
        card: String,
        /// Why, in the words of whoever bakes.
        source: Cause,
    },
    /// What was written changed meanwhile, so that nobody knows what the card has of it.
    #[error("the image of {node} changed while it was written")]
    Changed {
        /// The node's name.
        node: String,
        /// How that is known.
        source: Cause,
    },
    /// The image cannot be read, or makes no sense.
    #[error("reading {path}")]
    Base {
        /// The raw image.
        path: PathBuf,
        /// What the system said; the cards share it.
        source: Arc<io::Error>,
    },
    /// The image has no partitions that make sense.
    #[error("examining the image of {node}")]
    Table {
        /// The node's name.
        node: String,
        /// Why.
        source: crate::disk::TableError,
    },
    /// The user asked for the end.
    #[error("stopped")]
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
            Self::TooSmall { .. } => ErrorClass::Refused,
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::Gone { .. } => ErrorClass::Failed,
            Self::Bad { .. } | Self::Proof { .. } | Self::Changed { .. } => ErrorClass::Verification,
            Self::Bake { source, .. } => source.class(),
            Self::Base { source, .. } => ErrorClass::of_io(source),
            Self::Table { source, .. } => source.class(),
            Self::Cancelled => ErrorClass::Cancelled,
        }
    }
}

impl Error {
    /// Whether it is the card itself that failed the check.
    #[must_use]
    pub fn is_verification(&self) -> bool {
        matches!(self, Self::Bad { .. } | Self::Proof { .. })
    }
}
