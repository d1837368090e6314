//! Fleets: what nodes' cards are made of, kept in a registry of container images, so that any machine can write them.
//!
//! ```text
//! oci://REGISTRY/NAME:TAG            the index of one cluster: its serial number, its parts, its nodes   (format, listing)
//!   ├─ a manifest of the base        the raw image, in chunks that begin where they always do            (chunks, assembly)
//!   ├─ one of each role's payload    what changes over the base for all nodes of the role                (changes, payload)
//!   ├─ claims of stations, which card becomes which node: under tags of their own, and signed by nobody (claims)
//!   └─ one of each node              what changes over both, encrypted for those who may make cards      (sealed), and its bill
//! …:sha256-<digest of it>.minisig    who says so: a signature of the index                               (signature)
//! ```
//!
//! Who has the index and believes its signature needs to believe nobody else: each part is named by its digest, and
//! the base by that of the whole image. A registry and its administrators can withhold what they keep, or give an
//! older index, which whoever has seen a newer one refuses ([`Seen`]); they see no secret.

mod assembly;
mod changes;
mod chunks;
mod claim;
mod claims;
mod contents;
mod error;
mod format;
mod keys;
mod listing;
mod name;
mod nodes;
mod open;
mod opener;
mod parts;
mod push;
mod put;
mod raw_image;
mod sealed;
mod seen;
mod signature;
mod signed;
mod untold;

pub use claim::{Claim, Made, State};
pub use claims::Claims;
pub use contents::{Bake, Baked, Contents, Node};
pub use error::{Error, Result};
pub use keys::Keys;
pub use listing::{ListedBase, ListedNode, Listing, Versions};
pub use name::{FleetName, InvalidName};
pub use open::{Fleet, Ready};
pub use opener::Opener;
pub use push::{Pushed, Sender};
pub use sealed::{InvalidKey, Recipient, StationKey};
pub use seen::Seen;
pub use signature::{InvalidSignature, PublicKey, SigningKey};
pub use untold::Untold;
