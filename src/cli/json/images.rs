//! The documents of commands that make images and cards.

use serde::{Deserialize, Serialize};

use super::{Base, Error, Versions, text};
use crate::sink::Written;
use crate::sink::card::Head;
use crate::workflow::{Medium, bill_name};

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
    pub address: Option<String>,
    pub path: String,
    pub path_base64: Option<String>,
    pub bytes: u64,
    pub file_bytes: u64,
    pub disk_bytes: u64,
    pub bill: String,
    pub bill_base64: Option<String>,
}

impl Image {
    /// Of a node in this role; a registry knows no address of it.
    pub(crate) fn of(written: &Written, role: String, address: Option<String>) -> Self {
        let (path, path_base64) = text(&written.path);
        let bill = written.path.with_file_name(bill_name(&written.node, Medium::Image));
        let (bill, bill_base64) = text(bill);
        Self {
            node: written.node.clone(),
            role,
            address,
            path,
            path_base64,
            bytes: written.card,
            file_bytes: written.len,
            disk_bytes: written.stored,
            bill,
            bill_base64,
        }
    }
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
