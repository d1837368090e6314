//! From a published file to a raw image: unpacked, hashed and written sparse at the same time.

pub(crate) mod error;
pub(crate) mod format;
pub(crate) mod limit;
mod observer;
pub(crate) mod pipeline;
pub(crate) mod sparse;
#[cfg(test)]
mod tests;
mod xz;
mod xz_index;

pub use error::DecodeError;
pub use format::Format;
pub(crate) use format::HEAD;
pub use observer::ImageObserver;
pub use xz_index::raw_len as xz_raw_len;
