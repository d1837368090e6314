//! The documents of `pibake plan`.

use serde::{Deserialize, Serialize};

use crate::base;
use crate::cluster::{Node, Software};

/// `pibake plan`
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    pub base: Base,
    pub image: PlannedImage,
    pub software: Option<Versions>,
    pub nodes: Vec<Member>,
    pub preload: Option<Preload>,
    pub internet: Internet,
    pub login: Login,
}

/// What is baked in so that nodes need not fetch it. No node is there as long as that is not known.
#[derive(Serialize, Deserialize)]
pub(crate) struct Preload {
    pub nodes: Vec<Preloaded>,
}

/// What a node need not fetch.
#[derive(Serialize, Deserialize)]
pub(crate) struct Preloaded {
    pub node: String,
    pub packages: usize,
    pub package_bytes: u64,
    pub images: usize,
    pub image_bytes: u64,
    pub needed_bytes: u64,
}

/// How the nodes get to the internet, and what is open from there.
#[derive(Serialize, Deserialize)]
pub(crate) struct Internet {
    pub by: String,
    pub interface: String,
    pub ssid: Option<String>,
    pub more_ssids: Vec<String>,
    pub address: Option<String>,
    pub open: Vec<String>,
}

/// Who may log in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Login {
    pub user: String,
    pub ssh_keys: u64,
    pub made_key: Option<String>,
    pub made_key_base64: Option<String>,
    pub password: bool,
    pub ssh_password: bool,
}

/// What each node's image will be like, as far as that is known.
#[derive(Serialize, Deserialize)]
pub(crate) struct PlannedImage {
    pub bytes: Option<u64>,
    pub free_bytes: Option<u64>,
}

/// The image that nodes are made of.
#[derive(Serialize, Deserialize)]
pub(crate) struct Base {
    pub name: String,
    pub sha256: Option<String>,
}

impl From<&base::Base> for Base {
    fn from(base: &base::Base) -> Self {
        Self { name: base.name.clone(), sha256: Some(base.digest.to_string()) }
    }
}

/// What comes onto the cards, and what made them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Versions {
    pub kubernetes: String,
    pub containerd: String,
    pub pibake: String,
}

impl From<&Software> for Versions {
    fn from(software: &Software) -> Self {
        Self {
            kubernetes: software.kubernetes.to_string(),
            containerd: software.containerd.to_string(),
            pibake: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A node of the cluster.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    pub node: String,
    pub role: String,
    pub address: String,
    pub ipv6: Option<String>,
    pub board: Option<String>,
    pub boot_from: Option<String>,
}

impl From<&Node> for Member {
    fn from(node: &Node) -> Self {
        Self {
            node: node.name.to_string(),
            role: node.role.to_string(),
            address: node.address.to_string(),
            ipv6: node.ipv6.map(|address| address.to_string()),
            board: node.board.map(|board| board.to_string()),
            boot_from: node.boot_from.map(|from| from.to_string()),
        }
    }
}

/// `pibake plan --node N`
#[derive(Serialize, Deserialize)]
pub(crate) struct PlannedChanges {
    pub node: String,
    pub changes: Vec<PlannedChange>,
}

/// A file of a card that is not the base's.
#[derive(Serialize, Deserialize)]
pub(crate) struct PlannedChange {
    pub partition: String,
    pub path: String,
    pub what: String,
    pub mode: Option<String>,
    pub bytes: Option<u64>,
    pub secret: bool,
    pub why: Option<String>,
}

/// `pibake plan --node N PATH`
#[derive(Serialize, Deserialize)]
pub(crate) struct PlannedFile {
    pub node: String,
    pub path: String,
    pub text: String,
}

/// `pibake plan --diff IMAGE|DEVICE`
#[derive(Serialize, Deserialize)]
pub(crate) struct PlannedDifference {
    pub card: String,
    pub card_base64: Option<String>,
    pub node: String,
    pub same_cluster: Option<bool>,
    pub lists_files: bool,
    pub base_here: bool,
    pub changes: Vec<DifferentPath>,
    pub payload: Option<DifferentPayload>,
}

/// A path of a card that a bake would make otherwise.
#[derive(Serialize, Deserialize)]
pub(crate) struct DifferentPath {
    pub partition: String,
    pub path: String,
    pub what: String,
    pub secret: bool,
    pub text: Option<String>,
}

/// What a bake would preload otherwise than it is on the card.
#[derive(Serialize, Deserialize)]
pub(crate) struct DifferentPayload {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}
