//! Debian packages: which ones a node needs beside what its base has, and their files.
//!
//! An apt client as far as a card needs one, for one architecture. [`packages`] fetches and verifies what repositories
//! have and makes a [`Universe`] of it; what the base has installed is added with [`Universe::add_status`].
//! [`Universe::resolve`] decides offline, as apt would, what is installed, upgraded and removed, which is a [`Plan`],
//! and [`files`] gets the packages of a plan.

mod address;
mod control;
mod error;
mod fetch;
mod index;
mod pins;
mod relation;
mod release;
mod resolve;
mod status;
mod universe;
mod version;

pub use control::ControlError;
pub use error::Error;
pub use fetch::{Repository, files, packages};
pub use pins::{PinError, Pins};
pub use release::{Layout, ReleaseError};
pub use resolve::{Install, Plan, Removal, ResolveError};
pub use status::StatusError;
pub use universe::{Source, Universe};
