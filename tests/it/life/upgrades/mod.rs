//! Upgrades: the nodes' programs against stand-ins, and `pibake upgrade` from node to node.

mod cluster;
mod containerd;
mod cordon;
mod kubernetes;
mod member;
pub mod node;
mod orders;
mod system;
