//! What is kept between runs: images with what vouches for them, and notes.

mod checked;
pub(crate) mod entry;
mod folder;
pub(crate) mod guard;
pub(crate) mod memo;

pub use checked::Checked;
pub use folder::Cache;
pub(crate) use folder::Found;
