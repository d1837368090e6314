//! `--node 1` or `--node node-1`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::Error;
use crate::cluster::{Cluster, Node};

/// How a user names one node: by its place in the cluster, from 1, or by its host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSelector {
    /// The place in the cluster, from 1.
    Number(usize),
    /// The host name.
    Name(String),
}

impl FromStr for NodeSelector {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

impl fmt::Display for NodeSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl NodeSelector {
    /// The node that is meant.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`]
    pub fn find<'c>(&self, cluster: &'c Cluster) -> Result<&'c Node, Error> {
        let found = match self {
            Self::Number(n) => n.checked_sub(1).and_then(|n| cluster.nodes.get(n)),
            Self::Name(name) => cluster.nodes.iter().find(|node| node.name.as_str() == name),
        };
        found.ok_or_else(|| Error::NoSuchNode {
            asked: self.to_string(),
            names: cluster.nodes.iter().map(|node| node.name.to_string()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Overrides;

    #[test]
    fn digits_are_a_place_and_all_else_a_name() {
        assert_eq!("1".parse(), Ok(NodeSelector::Number(1)));
        assert_eq!("node-1".parse(), Ok(NodeSelector::Name("node-1".into())));
        assert_eq!("-1".parse(), Ok(NodeSelector::Name("-1".into())));
    }

    #[test]
    fn nodes_are_found_by_place_or_name_and_others_told_with_those_that_are_there() {
        let text = "nodes = [{ name = \"a\" }, { name = \"b\" }]";
        let cluster = Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default()).unwrap();
        let find = |text: &str| {
            let selector: NodeSelector = text.parse().unwrap_or_else(|e| match e {});
            selector.find(&cluster).map(|node| node.number).map_err(|e| e.to_string())
        };
        assert_eq!((find("2"), find("a")), (Ok(2), Ok(1)));
        for none in ["0", "3", "c", ""] {
            assert_eq!(find(none), Err(format!("there is no node {none}; the cluster has a, b")));
        }
    }
}
