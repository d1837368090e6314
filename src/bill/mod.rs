//! The bill of a card: what is on it, as an SPDX document (SPDX 2.3, in JSON).
//!
//! A [`Bill`] is made from what is known when a card is baked, and the same card has the same bill to the byte: its
//! time is that of the build, and its namespace is made of its content. What [`Bill::text`] writes, [`Listed::read`]
//! reads again, as far as a card can be held against it.
//!
//! Of a file with a secret in it only the name is told: a checksum would let anybody try what the secret is. In SPDX's
//! own terms such files are those that the package verification code leaves out (7.9).

mod content;
mod document;
mod error;
mod listed;
mod mode;
mod purl;
#[cfg(test)]
mod tests;
mod write;

pub use content::{Added, BaseImage, Bill, ContainerImage, EXTENSION, File, Mode, Package};
pub use error::Error;
pub use listed::{Listed, ListedFile};
