//! The documents of commands that speak with a running cluster.

use serde::{Deserialize, Serialize};

/// `pibake token list`
#[derive(Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub tokens: Vec<Token>,
    pub shared: bool,
    pub unknown_because: Option<String>,
}

/// The token that a node joins with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Token {
    pub node: String,
    pub token_id: String,
    pub in_cluster: Option<bool>,
    pub ends: Option<String>,
}

/// `pibake token new`, `pibake token revoke`
#[derive(Serialize, Deserialize)]
pub(crate) struct TokenChanged {
    pub node: String,
    pub token_id: String,
    pub done: bool,
    pub commands: Vec<String>,
}

/// `pibake kubeconfig`
#[derive(Serialize, Deserialize)]
pub(crate) struct Kubeconfig {
    pub context: String,
    pub server: String,
    pub tls_server_name: Option<String>,
    pub text: Option<String>,
    pub merged: bool,
}

/// `pibake status`
#[derive(Serialize, Deserialize)]
pub(crate) struct Status {
    pub nodes: Vec<NodeStatus>,
}

/// How a node is.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    pub node: String,
    pub role: String,
    pub address: String,
    pub reached: bool,
    pub first_boot: Option<FirstBoot>,
    pub ready: Option<bool>,
    pub kubelet: Option<String>,
    pub certificates: Option<Certificates>,
    pub card: Option<CardStatus>,
    pub read_only: Option<bool>,
    pub disk_bytes: Option<u64>,
    pub disk_free_bytes: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub memory_available_bytes: Option<u64>,
    pub advice: Vec<String>,
}

/// Where a first boot stands.
#[derive(Serialize, Deserialize)]
pub(crate) struct FirstBoot {
    pub state: String,
    pub stage: String,
    pub message: String,
}

/// How a node's certificates are.
#[derive(Serialize, Deserialize)]
pub(crate) struct Certificates {
    pub state: String,
    pub message: String,
    pub first: Option<String>,
    pub ends: Option<String>,
}

/// How a node's card is.
#[derive(Serialize, Deserialize)]
pub(crate) struct CardStatus {
    pub state: String,
    pub errors: u64,
    pub message: String,
}

/// `pibake backup`
#[derive(Serialize, Deserialize)]
pub(crate) struct BackedUp {
    pub path: String,
    pub path_base64: Option<String>,
    pub etcd_bytes: u64,
}

/// `pibake remove`
#[derive(Serialize, Deserialize)]
pub(crate) struct Removed {
    pub node: String,
    pub drained: bool,
    pub reset: bool,
    pub advice: Vec<String>,
}

/// `pibake upgrade`
#[derive(Serialize, Deserialize)]
pub(crate) struct Upgraded {
    pub what: String,
    pub target: Option<String>,
    pub planned: bool,
    pub nodes: Vec<UpgradedNode>,
    pub advice: Vec<String>,
}

/// What is to be done with a node, and how far that is.
#[derive(Serialize, Deserialize)]
pub(crate) struct UpgradedNode {
    pub node: String,
    pub state: String,
    pub from: String,
    pub to: Option<String>,
    pub steps: Vec<UpgradeStep>,
}

/// One thing that is done with a node.
#[derive(Serialize, Deserialize)]
pub(crate) struct UpgradeStep {
    pub step: String,
    pub what: String,
    pub done: bool,
}
