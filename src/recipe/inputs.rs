//! What everything that goes into a recipe is made from.

use super::secrets::CardSecrets;
use crate::cluster::{Cluster, Node, Platform, Software};

/// What everything that goes into a recipe is made from.
pub(super) struct Inputs<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) node: &'a Node,
    pub(super) control_plane: &'a Node,
    pub(super) platform: &'a Platform,
    pub(super) software: &'a Software,
    pub(super) secrets: &'a CardSecrets,
}
