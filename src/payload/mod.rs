//! What nodes need besides their recipes, so that they need no network: the packages that first boot installs, and
//! the images of the containers that a cluster starts with.
//!
//! [`payload`](fn@payload) asks what a node would ask: its own lists of sources, keys, pins and installed packages, as the
//! base has them and its recipe changes them, and the images that the kubeadm which comes of that will ask for. All is
//! fetched into the cache, verified, once for all nodes.

mod apt_files;
mod error;
mod images;
mod keys;
mod kubeadm;
mod make;
mod packages;
mod part;
mod request;

pub use error::{Error, Result};
pub use make::payload;
pub use part::{Part, Payload, PayloadFile};
pub use request::Request;
