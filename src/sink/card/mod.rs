//! Cards: an image written straight to a drive, several drives at once from one base.
//!
//! The first MiB, which has the partition table, is zero from the first write to the last: a card
//! whose writing stopped anywhere, for whatever reason, does not boot half of a node. Everything else
//! is written, stored and read back before.

mod device;
mod error;
mod flash;
mod layout;
#[cfg(test)]
mod mock;
mod pipeline;
mod plan;
mod probe;
mod read_back;
mod reader;
#[cfg(test)]
mod tests;
mod verify;
mod windows;
mod writer;

pub use device::Card;
#[cfg(target_os = "linux")]
pub use device::DriveCard;
pub use error::Error;
pub use flash::Flash;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::{Cached, OVERLAY_BLOCK, Patch, ReadAt};
use crate::error::Failure;

/// How cards are written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Read everything back.
    pub verify: bool,
    /// Write every byte of the image, also what its file systems call free.
    pub full: bool,
    /// Discard or zero the whole card first.
    pub wipe: bool,
}

/// A card and what it is to become.
#[derive(Clone)]
pub struct Target {
    /// What the card is called in messages: `/dev/sdb`.
    pub card_name: String,
    /// The node's name.
    pub node: String,
    /// The card itself.
    pub card: Arc<dyn Card>,
}

/// The card for looking at what is on it.
#[must_use]
pub fn as_device(card: &Arc<dyn Card>) -> Arc<dyn ReadAt> {
    let whole = reader::CardReader::new(Arc::clone(card), card.len(), Vec::new());
    Arc::new(Cached::new(whole, OVERLAY_BLOCK))
}

/// Looks whether what is on the card is what was baked.
pub type Proof = Box<dyn Fn(Arc<dyn ReadAt>) -> Result<(), Failure> + Send + Sync>;

/// Looks whether the base is still the one that was verified.
pub type Still = Box<dyn Fn() -> Result<(), Failure> + Send + Sync>;

/// What makes a node of the base.
pub struct Content {
    /// What differs from the base.
    pub patch: Patch,
    /// Whether a card has it.
    pub proof: Proof,
    /// Whether what all this was made from is still the same; asked before the table is written.
    pub still: Still,
}

/// Makes the content of the node with the given name; called once for each card, from many threads.
pub type Contents<'a> = dyn Fn(&str) -> Result<Content, Failure> + Sync + 'a;

/// A card that was written and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Bytes that were written.
    pub written: u64,
    /// Bytes that were read back.
    pub verified: u64,
    /// Where a second try was needed.
    pub again: Option<u64>,
}

/// What is known of a card's first MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Nothing was written to the card.
    AsItWas,
    /// It is zero, so nothing boots.
    Zero,
    /// It is the node's.
    Written,
    /// The card does not let itself be written, or read: nobody knows.
    Unknown,
}

/// How it went with one card.
#[derive(Debug)]
pub struct Outcome {
    /// What the card is called.
    pub card: String,
    /// The node that it was to become.
    pub node: String,
    /// Its first MiB, by which it boots or does not.
    pub head: Head,
    /// What came of it.
    pub result: Result<Done, Error>,
}
