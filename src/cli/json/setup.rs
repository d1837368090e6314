//! The documents of what is done once: a description, completions of a shell.

use serde::{Deserialize, Serialize};

/// `pibake init`
#[derive(Serialize, Deserialize)]
pub(crate) struct Initialized {
    pub path: String,
    pub path_base64: Option<String>,
    pub notes: Vec<String>,
}

/// `pibake completions`
#[derive(Serialize, Deserialize)]
pub(crate) struct Completions {
    pub shell: String,
    pub script: String,
}
