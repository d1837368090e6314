//! `--node 1` or `--node node-1`.

use std::convert::Infallible;
use std::str::FromStr;

use super::exit::Usage;
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

impl NodeSelector {
    /// The node that is meant.
    pub fn find<'a>(&self, cluster: &'a Cluster) -> Result<&'a Node, Usage> {
        let found = match self {
            Self::Number(n) => n.checked_sub(1).and_then(|n| cluster.nodes.get(n)),
            Self::Name(name) => cluster.nodes.iter().find(|node| node.name == *name),
        };
        let names = || cluster.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", ");
        let asked = match self {
            Self::Number(n) => n.to_string(),
            Self::Name(name) => name.clone(),
        };
        found.ok_or_else(|| Usage(format!("there is no node {asked}; the cluster has {}", names())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_place_and_all_else_a_name() {
        assert_eq!("1".parse(), Ok(NodeSelector::Number(1)));
        assert_eq!("node-1".parse(), Ok(NodeSelector::Name("node-1".into())));
        assert_eq!("-1".parse(), Ok(NodeSelector::Name("-1".into())));
    }
}
