//! What the control plane's DHCP server hands out.

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::cluster::{Cluster, Gateway, Node, NodeName};

/// What dhcpd.conf is made of.
#[derive(Debug, Serialize)]
pub(super) struct Dhcp {
    /// Seconds.
    default_lease: u32,
    /// Seconds.
    max_lease: u32,
    hosts: Vec<Host>,
    pool: Vec<Range>,
}

/// A node that has its own address for good.
#[derive(Debug, Serialize)]
struct Host {
    name: NodeName,
    address: Ipv4Addr,
    mac: Option<String>,
}

#[derive(Debug, Serialize)]
struct Range {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// The server on `server` keeps an address for each of the other nodes, also for those that may be
/// added one day: their cards say their address, and this one's may be years old by then.
pub(super) fn server(gateway: &Gateway, cluster: &Cluster, server: &Node) -> Dhcp {
    let others = cluster.nodes.iter().filter(|node| node.number != server.number).map(|node| Host {
        name: node.name.clone(),
        address: node.address,
        mac: node.mac.map(|mac| mac.to_string()),
    });
    let later = cluster.future_nodes().into_iter().map(|(name, address)| Host { name, address, mac: None });
    Dhcp {
        default_lease: gateway.dhcp.default_lease_seconds,
        max_lease: gateway.dhcp.max_lease_seconds,
        hosts: others.chain(later).collect(),
        pool: gateway.dhcp.pool.iter().map(|&(first, last)| Range { first, last }).collect(),
    }
}
