//! What a node is called.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::check;

/// The host name of a node: a label of RFC 1123 in lower case that nothing takes for an address, and that
/// stands for nothing else on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeName(String);

impl NodeName {
    /// The name where the description gives none: `node-1`, as in the book.
    pub(crate) fn numbered(number: u16) -> Self {
        Self(format!("node-{number}"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check::label(text)?;
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err("must hold a letter: a number alone reads as an address".to_owned());
        }
        // inet_aton(3), which the C library asks before any name server, also reads hexadecimal.
        if text.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err("must not be a hexadecimal number: it reads as an address".to_owned());
        }
        // These stand in every node's /etc/hosts already.
        if matches!(text, "kubernetes" | "localhost") || text.starts_with("ip6-") {
            return Err(format!("must not be {text:?}: that name stands for something else on every node"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
