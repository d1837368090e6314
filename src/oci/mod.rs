//! Container images: looked up at registries for a Raspberry Pi, downloaded once into the cache by digest, and put
//! together as an archive that containerd imports.
//!
//! A [`Repository`] is the other way round: blobs and manifests of any kind, put into a registry and got from there.
//!
//! [`pull`](fn@pull) asks as containerd does on a node: the same names, the same mirrors in the same order, the same protocol
//! (the Distribution project's API, version 2).

mod archive;
mod challenge;
mod credentials;
mod error;
mod login;
mod manifest;
mod pull;
mod repository;
mod scopes;
mod tags;

pub use archive::Archive;
pub use challenge::Challenge;
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use manifest::{Blob, Document, Entry, InvalidManifest, Platform};
pub(crate) use manifest::{LARGEST, OCI_INDEX, OCI_MANIFEST};
pub use pull::{Image, pull};
pub(crate) use repository::Blobs;
pub use repository::Repository;
pub(crate) use repository::visit;
