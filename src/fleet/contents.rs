//! What is put into a registry: a cluster, before it is baked.

use std::collections::BTreeMap;

use super::listing::Versions;
use crate::base::Base;
use crate::disk::Patch;
use crate::error::Failure;

/// A cluster that is to be put into a registry.
pub struct Contents<'a> {
    /// Its name.
    pub cluster: &'a str,
    /// The hash of its CA.
    pub fleet: &'a str,
    /// What all nodes are made from.
    pub base: &'a Base,
    /// What the nodes of a role have over it, by the role's name.
    pub payloads: BTreeMap<String, Patch>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A node of it.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its place in the cluster, from 1.
    pub number: u16,
    /// What it does.
    pub role: String,
    /// The hardware that it is for, as [`ListedNode::board`](super::ListedNode::board) has it.
    pub board: String,
    /// What it starts from, as a description has it, where one said so.
    pub boot_from: Option<String>,
    /// What runs on it.
    pub versions: Versions,
}

/// A node that was baked.
pub struct Baked {
    /// What changes over the base for it, its role's payload included.
    pub patch: Patch,
    /// Its bill.
    pub bill: Vec<u8>,
}

/// Makes the node of this name.
pub type Bake<'a> = dyn Fn(&str) -> Result<Baked, Failure> + Sync + 'a;
