//! The documents of `pibake boot`.

use serde::{Deserialize, Serialize};

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
