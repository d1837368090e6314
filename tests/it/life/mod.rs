//! The life of a cluster after its first boot.

mod card;
mod certificates;
mod copies;
mod kubeconfig;
mod machine;
mod restore;
mod snapshots;
pub mod upgrades;
