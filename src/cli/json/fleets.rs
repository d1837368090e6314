//! The documents of clusters in a registry.

use serde::{Deserialize, Serialize};

use super::{Base, Error, Image};
use crate::sink::card::Head;

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
    pub images: Vec<Image>,
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
    pub boot_from: Option<String>,
    pub kubernetes: String,
    pub containerd: String,
    pub preloaded: bool,
}
