//! The documents of what is on an image or a card.

use serde::{Deserialize, Serialize};

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
    pub ipv6: Option<String>,
    pub board: Option<String>,
    pub boot_from: Option<String>,
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
