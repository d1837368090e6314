//! Base images: what every node's card starts as. Named, fetched, verified, decompressed once, kept
//! in a cache, and never written to afterwards.
//!
//! [`Cache::obtain`] is the whole of it. On its way from the network the image is hashed, kept for
//! an interrupted download to be resumed, decoded, written to the cache and to an [`ImageObserver`]'s targets, all
//! at the same time; it stands under its name in the cache only after its digest was right.

mod cache;
mod decode;
mod error;
mod image;
mod ledger;
mod options;
mod resolve;
mod verify;

pub use cache::{Cache, Checked, Stored};
pub(crate) use decode::pipeline::{Source, Stop};
pub use decode::{DecodeError, Format, ImageObserver, xz_raw_len};
pub use error::{Error, Result};
pub use image::Base;
pub use ledger::Ledger;
pub use options::Options;
pub(crate) use options::PURPOSE;
pub use resolve::Fetcher;
pub(crate) use resolve::{Pieces, Promised, Wanted};
pub use verify::{InvalidSums, Keyring, SignatureError, Sums, Trust, UBUNTU_CD_IMAGE_KEY};

pub use crate::catalog::{Digest, InvalidSpec, Spec};
pub use crate::http::Patience;
