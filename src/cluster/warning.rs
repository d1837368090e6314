//! What a description may say, and probably does not mean.

use std::fmt;

use ipnet::Ipv4Net;

use super::KubernetesVersion;
use super::minors::NEWEST_KUBERNETES;
use crate::boards::Board;
use crate::io::Surrounding;

/// What is allowed but probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// No radio network is described, and nobody said by which other way the control plane reaches the internet.
    NoRadio {
        /// The control plane's name.
        node: String,
        /// The interface that its way out is expected on.
        interface: String,
    },
    /// A Kubernetes is asked for that came after this version of pibake.
    UnknownKubernetes {
        /// The version asked for.
        version: KubernetesVersion,
    },
    /// The country that the radio is in is not known.
    NoCountry,
    /// Nodes are to be reached by WiFi, and their boards are sold without a radio as well.
    PerhapsNoRadio {
        /// Their names and boards, at least one.
        nodes: Vec<(String, Board)>,
    },
    /// The control plane is to run on a board that kubeadm refuses it on.
    SmallControlPlane {
        /// The control plane's name.
        node: String,
        /// Its board.
        board: Board,
    },
    /// The machine that builds reaches one of the cluster's networks in another way.
    Overlap {
        /// The key of the cluster's network.
        key: &'static str,
        /// The cluster's network.
        network: Ipv4Net,
        /// What this machine reaches.
        there: Surrounding,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRadio { node, interface } => write!(
                f,
                "no radio network is described in [network.wifi]: {node} expects its way to the internet on a \
                 second Ethernet adapter, {interface}"
            ),
            Self::UnknownKubernetes { version } => write!(
                f,
                "Kubernetes {version} is newer than this version of pibake, which knows up to 1.{NEWEST_KUBERNETES}: it \
                 is told all that it is told in the form of 1.{NEWEST_KUBERNETES}, which it may no longer read"
            ),
            Self::NoCountry => f.write_str(
                "network.wifi.country is not given: until it is, the radio keeps to what every country allows, \
                 and may not see networks on channels 12, 13 and most of those at 5 GHz",
            ),
            Self::PerhapsNoRadio { nodes } => {
                let named: Vec<_> =
                    nodes.iter().map(|(node, board)| format!("{node} (a {})", board.name())).collect();
                write!(
                    f,
                    "[network.wifi] is for {}: Compute Modules are sold with a radio and without one, and without one \
                     nothing reaches them. A USB adapter does as well, where the image has its driver and firmware",
                    named.join(", ")
                )
            }
            Self::SmallControlPlane { node, board } => write!(
                f,
                "{node} is to run the control plane on a {}, which has {} GB of memory: kubeadm refuses less than 1.7 GB, \
                 and the first boot ends there. Give that role to another board",
                board.name(),
                board.memory_gib().1
            ),
            Self::Overlap { key, network, there } => write!(
                f,
                "{key} {network} overlaps {}, which this machine reaches by {}: if that is the network which the \
                 nodes' uplink joins, set {key} to another; if it is the cluster's own, all is well",
                there.network, there.interface
            ),
        }
    }
}
