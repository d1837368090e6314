//! What a fleet is called: `oci://registry.example/cluster:tag`, and a node of it with `#node-1` behind that.

use std::fmt;
use std::str::FromStr;

use crate::error::{Classified, ErrorClass};
use crate::registry::{Endpoint, Reference, Version};

/// What such names begin with.
const SCHEME: &str = "oci://";
/// The same for registries that speak no HTTPS, beside those of this machine.
const PLAIN: &str = "oci+http://";

/// Where a fleet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetName {
    reference: Reference,
    is_plain: bool,
    tag: String,
    node: Option<String>,
}

/// A text that names no fleet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not the name of a fleet, such as oci://registry.example/my-cluster:latest: {fault}")]
pub struct InvalidName {
    given: String,
    fault: String,
}

impl Classified for InvalidName {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

impl FleetName {
    /// Whether this text is meant to be one.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with(SCHEME) || text.starts_with(PLAIN)
    }

    /// The addresses of registries that are spoken with otherwise than is usual.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let plain = || Endpoint::new(&format!("http://{}", self.reference.host()));
        self.is_plain.then(plain).into_iter().collect()
    }

    /// The repository and the tag.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The node of it that is meant, by name or number, where one was named.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }
}

impl FromStr for FleetName {
    type Err = InvalidName;

    /// Without a tag it is the one with the tag `latest`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fault = |fault: &str| InvalidName { given: text.to_owned(), fault: fault.to_owned() };
        let plain = text.strip_prefix(PLAIN);
        let rest = plain.or_else(|| text.strip_prefix(SCHEME));
        let rest = rest.ok_or_else(|| fault("it does not begin with oci:// or oci+http://"))?;
        let (place, node) = rest.split_once('#').map_or((rest, None), |(place, node)| (place, Some(node)));
        if node.is_some_and(str::is_empty) {
            return Err(fault("behind # there should be a node's name or number"));
        }
        // nobody means a cluster of their own on Docker Hub by a single word
        if !place.contains('/') {
            return Err(fault("a registry and a name are needed, with a slash between"));
        }
        let reference: Reference = place.parse().map_err(|e| fault(&format!("{e}")))?;
        let tag = match reference.version() {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(_) => return Err(fault("a tag is needed, not a digest")),
        };
        Ok(Self { reference, is_plain: plain.is_some(), tag, node: node.map(str::to_owned) })
    }
}

impl fmt::Display for FleetName {
    /// Without the node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_plain { PLAIN } else { SCHEME }, self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_registry_a_path_and_perhaps_a_tag_and_a_node() {
        for (text, whole, tag, node) in [
            ("oci://r.example/a/b", "oci://r.example/a/b:latest", "latest", None),
            ("oci://127.0.0.1:5000/home:blue", "oci://127.0.0.1:5000/home:blue", "blue", None),
            ("oci://r.example/a:b#node-2", "oci://r.example/a:b", "b", Some("node-2")),
            ("oci://r.example/a#2", "oci://r.example/a:latest", "latest", Some("2")),
            ("oci+http://10.0.0.9:5000/a:b", "oci+http://10.0.0.9:5000/a:b", "b", None),
            ("oci://me/home", "oci://docker.io/me/home:latest", "latest", None),
        ] {
            let name: FleetName = text.parse().unwrap();
            assert_eq!((&*name.to_string(), name.tag(), name.node()), (whole, tag, node), "{text}");
            assert!(FleetName::is_one(text));
        }
        let digest = format!("oci://r.example/a@sha256:{}", "ab".repeat(32));
        for (bad, words) in [
            ("r.example/a", "does not begin with oci://"),
            ("oci://home", "with a slash between"),
            ("oci://r.example/a#", "behind #"),
            ("oci://r.example/A", "lower case"),
            ("oci://", "with a slash between"),
            (&*digest, "not a digest"),
        ] {
            let error = bad.parse::<FleetName>().unwrap_err().to_string();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }
}
