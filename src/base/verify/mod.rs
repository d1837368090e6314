//! What vouches for an image: lists of digests, their signatures, and what follows from these.

pub(crate) mod checksum_files;
mod error;
mod key;
mod keyring;
mod signature;
mod sums;
mod trust;

pub use error::SignatureError;
pub use keyring::{Keyring, UBUNTU_CD_IMAGE_KEY};
pub use sums::{InvalidSums, Sums};
pub use trust::Trust;
