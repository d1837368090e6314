//! What vouches for an image: lists of digests, their signatures, and what follows from these.

mod key;
mod keyring;
mod signature;
mod sums;
pub(crate) mod trust;

pub use keyring::{Keyring, UBUNTU_CD_IMAGE_KEY};
pub use signature::SignatureError;
pub use sums::{InvalidSums, Sums};
pub use trust::Trust;
