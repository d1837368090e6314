//! Sinks: where base and overlay become something to keep. A [`Build`] writes one file per node;
//! all formats share the pipeline in `copy`, which reads the base once for many nodes.
//!
//! Whatever the format, a file stands under its name only when it is whole and on the disk:
//! it is written under a temporary name in the same folder, synced and renamed. A file that was
//! there before is replaced in that one step.

mod build;
pub mod card;
mod card_overlay;
mod compressed;
mod copy;
mod early_image;
mod error;
mod format;
mod image;
mod merge;
mod qcow2;
mod room;
mod source;
mod streaming;
mod threads;

pub use build::{Bake, Build, Kept, Written};
pub use card_overlay::card_overlay;
pub use error::Error;
pub use format::{Format, UnknownFormat};
