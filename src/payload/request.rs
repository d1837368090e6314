//! What a payload is made for.

use crate::cluster::{Cluster, Node, Software};
use crate::image_reader::ImageReader;
use crate::oci::Credentials;
use crate::recipe::Recipe;

/// What a payload is made for.
pub struct Request<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// What runs on its nodes.
    pub software: &'a Software,
    /// Its nodes with their recipes. Those of one role get the same.
    pub nodes: &'a [(&'a Node, &'a Recipe)],
    /// The base that the recipes are for.
    pub base: &'a ImageReader,
    /// Who the user is at registries.
    pub credentials: &'a Credentials,
}
