//! The documents of what nodes are made from: locks and folders.

use serde::{Deserialize, Serialize};

use super::Base;

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
