//! The network between the nodes and its way out.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Ipv6;
use super::link::Link;
use super::wifi::Radio;

/// The network between the nodes, and how it meets the rest of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The network that the nodes' addresses lie in.
    pub subnet: Ipv4Net,
    /// The same and more for IPv6, where the cluster is dual-stack.
    pub ipv6: Option<Ipv6>,
    /// What every node is on that network by.
    pub link: Link,
    /// DNS servers that every node asks.
    pub dns: Vec<Ipv4Addr>,
    /// Who hands out addresses and routes.
    pub mode: Mode,
}

/// Who hands out addresses and routes between the cluster and the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The control plane node does DHCP and NAT for the others and has an uplink of its own.
    Gateway(Gateway),
    /// All nodes stand in a network that a router serves already; no node does DHCP or NAT.
    Lan(Lan),
}

/// How the control plane node serves the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its way to the world.
    pub uplink: Uplink,
    /// What its DHCP server hands out.
    pub dhcp: Dhcp,
}

/// How nodes live behind a router that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lan {
    /// The router's address: every node's default route.
    pub router: Ipv4Addr,
    /// Where nodes have their addresses from.
    pub addressing: LanAddressing,
}

/// Where nodes in lan mode have their addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanAddressing {
    /// Each card says its node's address. Works with any router, as long as the addresses lie
    /// outside of what it hands out.
    Static,
    /// The router hands each node the address that the description says, by reservation.
    Dhcp,
}

/// The control plane node's way to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// What it is on the network outside by.
    pub link: Link,
    /// How it gets its address.
    pub addressing: UplinkAddressing,
    /// What machines on its side may open connections to, besides SSH on the node itself.
    pub allow: Vec<Opening>,
}

/// What is open to machines on the uplink's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The API server.
    Api,
    /// The ports that services of type NodePort get.
    NodePorts,
    /// One port of the node's own addresses: a host port, or a daemon of the user's.
    Port(u16, Protocol),
    /// Everything: the node itself, the other nodes, the pods and the services.
    All,
}

/// What a port is a port of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// How the uplink gets its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UplinkAddressing {
    /// By DHCP.
    Dhcp,
    /// Given here.
    Static {
        /// Address and prefix length.
        address: Ipv4Net,
        /// The default route.
        router: Ipv4Addr,
    },
}

/// What the DHCP server of the control plane node hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp {
    /// Addresses for machines that are no nodes, first and last, none of them in use by a node;
    /// in ascending order, possibly none at all.
    pub pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Seconds that a lease lasts when the client asks for no time.
    pub default_lease_seconds: u32,
    /// Seconds that a lease lasts at most.
    pub max_lease_seconds: u32,
}

impl Network {
    /// The gateway's part, in gateway mode.
    #[must_use]
    pub fn gateway(&self) -> Option<&Gateway> {
        match &self.mode {
            Mode::Gateway(gateway) => Some(gateway),
            Mode::Lan(_) => None,
        }
    }

    /// The radio of the nodes that have one: of all in lan mode, of the gateway else.
    #[must_use]
    pub fn radio(&self) -> Option<&Radio> {
        self.gateway().map_or(&self.link, |gateway| &gateway.uplink.link).radio()
    }
}
