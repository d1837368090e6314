//! What is kept between runs: images with what vouches for them, downloads under way, and notes.

mod checked;
mod copy;
pub(crate) mod entry;
pub(crate) mod files;
mod find;
mod folder;
mod guard;
pub(crate) mod memo;
mod stored;
mod sweep;

pub use checked::Checked;
pub(crate) use find::Found;
pub use folder::Cache;
pub use stored::Stored;
