//! The documents of the commands, but for drives.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::base;
use crate::cluster::{Node, Software};
use crate::sink::card::Head;

/// `pibake init`
#[derive(Serialize, Deserialize)]
pub(crate) struct Initialized {
    pub path: String,
    pub path_base64: Option<String>,
    pub notes: Vec<String>,
}

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
    pub board: Option<String>,
}

impl From<&Node> for Member {
    fn from(node: &Node) -> Self {
        Self {
            node: node.name.to_string(),
            role: node.role.to_string(),
            address: node.address.to_string(),
            board: node.board.map(|board| board.to_string()),
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

/// `pibake fetch`
#[derive(Serialize, Deserialize)]
pub(crate) struct Fetched {
    pub base: FetchedBase,
}

/// A base image that is here, and why it is trusted.
#[derive(Serialize, Deserialize)]
pub(crate) struct FetchedBase {
    pub name: String,
    pub sha256: String,
    pub release: Option<String>,
    pub trust: String,
    pub signed_by: Option<String>,
    pub checked: String,
    pub path: String,
    pub path_base64: Option<String>,
    pub bytes: u64,
    pub disk_bytes: u64,
    pub packed_bytes: u64,
}

/// `pibake build`
#[derive(Serialize, Deserialize)]
pub(crate) struct Built {
    pub base: Base,
    pub software: Versions,
    pub images: Vec<Image>,
}

/// An image that was written.
#[derive(Serialize, Deserialize)]
pub(crate) struct Image {
    pub node: String,
    pub role: String,
    pub address: String,
    pub path: String,
    pub path_base64: Option<String>,
    pub bytes: u64,
    pub file_bytes: u64,
    pub disk_bytes: u64,
    pub bill: String,
    pub bill_base64: Option<String>,
}

/// `pibake flash`
#[derive(Serialize, Deserialize)]
pub(crate) struct Flashed {
    pub cards: Vec<Card>,
}

/// What became of a card.
#[derive(Serialize, Deserialize)]
pub(crate) struct Card {
    pub node: String,
    pub drive: String,
    pub done: bool,
    pub head: Head,
    pub written_bytes: Option<u64>,
    pub verified_bytes: Option<u64>,
    pub retried_offset: Option<u64>,
    pub switched_off: bool,
    pub bill: Option<String>,
    pub bill_base64: Option<String>,
    pub error: Option<Error>,
}

/// `pibake push`
#[derive(Serialize, Deserialize)]
pub(crate) struct Pushed {
    pub fleet: String,
    pub serial: u64,
    pub sha256: String,
    pub key: String,
    pub sent_bytes: u64,
    pub nodes: Vec<PushedNode>,
}

/// What a node has alone in a registry.
#[derive(Serialize, Deserialize)]
pub(crate) struct PushedNode {
    pub node: String,
    pub bytes: u64,
}

/// `pibake pull`
#[derive(Serialize, Deserialize)]
pub(crate) struct Pulled {
    pub fleet: String,
    pub serial: u64,
    pub images: Vec<PulledImage>,
}

/// An image that was made of what is in a registry.
#[derive(Serialize, Deserialize)]
pub(crate) struct PulledImage {
    pub node: String,
    pub path: String,
    pub path_base64: Option<String>,
    pub bytes: u64,
    pub file_bytes: u64,
    pub disk_bytes: u64,
    pub bill: String,
    pub bill_base64: Option<String>,
}

/// `pibake station`
#[derive(Serialize, Deserialize)]
pub(crate) struct Stationed {
    pub fleet: String,
    pub serial: u64,
    pub cards: Vec<StationCard>,
    pub left: Vec<String>,
    pub taken: Vec<Taken>,
}

/// What became of a card that was put in.
#[derive(Serialize, Deserialize)]
pub(crate) struct StationCard {
    pub node: String,
    pub drive: String,
    pub model: Option<String>,
    pub drive_serial: Option<String>,
    pub time: String,
    pub done: bool,
    pub head: Head,
    pub written_bytes: Option<u64>,
    pub verified_bytes: Option<u64>,
    pub error: Option<Error>,
}

/// A node whose card another station made, or this one before.
#[derive(Serialize, Deserialize)]
pub(crate) struct Taken {
    pub node: String,
    pub state: String,
    pub station: String,
    pub serial: Option<u64>,
    pub time: String,
    pub card: String,
}

/// `pibake key`
#[derive(Serialize, Deserialize)]
pub(crate) struct Key {
    pub public: String,
    pub path: String,
    pub path_base64: Option<String>,
    pub is_new: bool,
    pub trusted: Vec<String>,
}

/// `pibake inspect FLEET`
#[derive(Serialize, Deserialize)]
pub(crate) struct InspectedFleet {
    pub fleet: String,
    pub cluster: String,
    pub serial: u64,
    pub sha256: String,
    pub signed_by: String,
    pub pibake: String,
    pub base: Base,
    pub nodes: Vec<FleetNode>,
}

/// A node that is in a registry.
#[derive(Serialize, Deserialize)]
pub(crate) struct FleetNode {
    pub node: String,
    pub number: u64,
    pub role: String,
    pub board: String,
    pub kubernetes: String,
    pub containerd: String,
    pub preloaded: bool,
}

/// `pibake inspect IMAGE`
#[derive(Serialize, Deserialize)]
pub(crate) struct Inspected {
    pub baked: Option<Baked>,
    pub scheme: String,
    pub bytes: u64,
    pub partitions: Vec<Partition>,
}

/// The node that an image is of, as it says itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baked {
    pub node: String,
    pub role: Option<String>,
    pub address: Option<String>,
    pub board: Option<String>,
    pub cluster: Option<String>,
    pub ca_hash: Option<String>,
    pub kubernetes: Option<String>,
    pub containerd: Option<String>,
    pub pibake: Option<String>,
    pub built: Option<String>,
}

/// A partition of an image.
#[derive(Serialize, Deserialize)]
pub(crate) struct Partition {
    pub number: u32,
    pub offset: u64,
    pub bytes: u64,
    pub kind: String,
    pub role: Option<String>,
}

/// `pibake inspect IMAGE DIRECTORY`
#[derive(Serialize, Deserialize)]
pub(crate) struct Listing {
    pub path: String,
    pub entries: Vec<Entry>,
}

/// What lies in a directory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub name: String,
    pub name_base64: Option<String>,
    pub kind: String,
    pub bytes: u64,
    pub mode: Option<String>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// `pibake inspect IMAGE FILE`
#[derive(Serialize, Deserialize)]
pub(crate) struct Printed {
    pub path: String,
    pub text: String,
    pub text_base64: Option<String>,
    pub bytes: u64,
}

/// `pibake verify`
#[derive(Serialize, Deserialize)]
pub(crate) struct VerifiedCard {
    pub node: Option<String>,
    pub used: bool,
    pub recipe: bool,
    pub bill: Option<String>,
    pub bill_base64: Option<String>,
    pub compared: u64,
    pub differences: Vec<Differing>,
    pub ordinary: Vec<OrdinaryChange>,
    pub not_compared: Vec<String>,
}

/// Something that is not as it was promised.
#[derive(Serialize, Deserialize)]
pub(crate) struct Differing {
    pub path: String,
    pub what: String,
}

/// Something that the node does with its card.
#[derive(Serialize, Deserialize)]
pub(crate) struct OrdinaryChange {
    pub path: String,
    pub what: String,
    pub why: String,
}

/// `pibake logs`
#[derive(Serialize, Deserialize)]
pub(crate) struct Logs {
    pub summary: String,
    pub status: Option<FirstBootStatus>,
    pub logs: Vec<Log>,
}

/// Where the first boot stood when the power went.
#[derive(Serialize, Deserialize)]
pub(crate) struct FirstBootStatus {
    pub node: String,
    pub role: Option<String>,
    pub state: String,
    pub starts: Option<u64>,
    pub attempt: Option<u64>,
    pub updated: Option<String>,
    pub message: Option<String>,
    pub steps: Vec<StageStatus>,
}

/// A stage of the first boot.
#[derive(Serialize, Deserialize)]
pub(crate) struct StageStatus {
    pub number: u64,
    pub stage: String,
    pub state: String,
    pub ended: Option<String>,
}

/// What the first boot wrote.
#[derive(Serialize, Deserialize)]
pub(crate) struct Log {
    pub path: String,
    pub text: String,
}

/// `pibake boot`
#[derive(Serialize, Deserialize)]
pub(crate) struct Booted {
    pub end: String,
    pub nodes: Vec<Console>,
}

/// A machine that was booted.
#[derive(Serialize, Deserialize)]
pub(crate) struct Console {
    pub node: String,
    pub line: Option<String>,
    pub seconds: Option<f64>,
}

/// `pibake boot --print`
#[derive(Serialize, Deserialize)]
pub(crate) struct CommandLines {
    pub nodes: Vec<CommandLine>,
}

/// What a machine would be started with.
#[derive(Serialize, Deserialize)]
pub(crate) struct CommandLine {
    pub node: String,
    pub command: Vec<String>,
}

/// `pibake update`
#[derive(Serialize, Deserialize)]
pub(crate) struct Updated {
    pub path: String,
    pub path_base64: Option<String>,
    pub changes: Vec<LockChange>,
}

/// What is another one in the lock now.
#[derive(Serialize, Deserialize)]
pub(crate) struct LockChange {
    pub what: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// `pibake vendor`
#[derive(Serialize, Deserialize)]
pub(crate) struct Vendored {
    pub path: String,
    pub path_base64: Option<String>,
    pub base: Base,
    pub packages: usize,
    pub images: usize,
}

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

/// `pibake completions`
#[derive(Serialize, Deserialize)]
pub(crate) struct Completions {
    pub shell: String,
    pub script: String,
}
