//! What the control plane's DHCP server hands out.

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::cluster::{Gateway, Node};

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
    name: String,
    address: Ipv4Addr,
    mac: Option<String>,
}

#[derive(Debug, Serialize)]
struct Range {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// The server on `server` keeps an address for each of the other nodes.
pub(super) fn server(gateway: &Gateway, nodes: &[Node], server: &Node) -> Dhcp {
    let others = nodes.iter().filter(|node| node.number != server.number);
    Dhcp {
        default_lease: gateway.dhcp.default_lease_seconds,
        max_lease: gateway.dhcp.max_lease_seconds,
        hosts: others
            .map(|node| Host {
                name: node.name.clone(),
                address: node.address,
                mac: node.mac.map(|mac| mac.to_string()),
            })
            .collect(),
        pool: gateway.dhcp.pool.iter().map(|&(first, last)| Range { first, last }).collect(),
    }
}
