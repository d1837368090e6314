//! Debian packages: which ones a node needs beside what its base has, and their files.
//!
//! An apt client as far as a card needs one, for one architecture. [`lists`] fetches and verifies what repositories
//! have, [`Lists::universe`] makes a [`Universe`] of it; what the base has installed is added with [`Universe::add_status`].
//! [`Universe::resolve`] decides offline, as apt would, what is installed, upgraded and removed, which is a [`Plan`],
//! and [`files`] gets the packages of a plan.

mod address;
mod control;
mod deb;
mod error;
mod fetch;
mod index;
mod pins;
mod relation;
mod release;
mod resolve;
mod sources;
mod status;
mod universe;
mod version;

pub use control::ControlError;
pub use deb::tree;
pub use error::Error;
pub use fetch::{Lists, Repository, files, lists};
pub use pins::{PinError, Pins};
pub use release::{Layout, ReleaseError};
pub use resolve::{Install, Plan, Removal, ResolveError};
pub use sources::{Form, Listed, SignedBy, SourcesError, form_of};
pub use status::{Installed, StatusError, installed};
pub use universe::{Source, Universe};
