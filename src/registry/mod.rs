//! Container images before they are fetched: what they are called, and where their registries are asked.

mod endpoint;
mod reference;

pub use endpoint::{Endpoint, registry_address};
pub use reference::{InvalidReference, Reference, Version, image, registry};
