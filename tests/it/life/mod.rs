//! The life of a cluster after its first boot.

mod certificates;
mod copies;
mod kubeconfig;
mod machine;
mod snapshots;
