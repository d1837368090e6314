//! What a payload is made for.

use crate::cluster::{Cluster, Node, Software};
use crate::oci::Credentials;
use crate::opened::Opened;
use crate::recipe::Recipe;
use crate::registry::Reference;

/// What a payload is made for.
pub struct Request<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// What runs on its nodes.
    pub software: &'a Software,
    /// Nodes with their recipes. Those of one role get the same.
    pub nodes: &'a [(&'a Node, &'a Recipe)],
    /// The base that the recipes are for.
    pub base: &'a Opened,
    /// Images that are wanted besides those that the cluster starts with.
    pub images: &'a [Reference],
    /// Who the user is at registries.
    pub credentials: &'a Credentials,
}
