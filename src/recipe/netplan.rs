//! One node's network ports, as netplan is told them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::Serialize;

use super::inputs::Inputs;
use super::radio::{self, AccessPoint};
use crate::cluster::{
    Gateway, Ipv6, Lan, LanAddressing, Link, Medium, Mode, Network, Node, Uplink, UplinkAddressing,
};

/// The routing table `default` (rt_tables), in which the kernel looks after `main`, and so only
/// where that has no way at all (ip-rule(8)). In `main` even the last of metrics would win over a
/// wider route, such as the way out.
const LAST_RESORT: u32 = 253;

/// netplan's destination of a default route; its word `default` is newer than Ubuntu 20.04's.
const EVERYWHERE: &str = "0.0.0.0/0";

/// The same of IPv6.
const EVERYWHERE_6: &str = "::/0";

/// The ports of one kind; netplan keeps the kinds apart.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    kind: &'static str,
    ports: Vec<Port>,
}

/// One network interface.
#[derive(Debug, Serialize)]
pub(super) struct Port {
    name: String,
    /// Boot does not wait for it.
    optional: bool,
    dhcp: bool,
    /// It keeps the address that it leased, also when the server does not answer any more.
    keep_lease: bool,
    /// It keeps its address with no cable in it.
    ignore_carrier: bool,
    /// It has no addresses itself, and takes none that are offered.
    is_carrier: bool,
    /// Whether it takes the addresses and routes that routers announce; `None`: as networkd does by itself.
    takes_announcements: Option<bool>,
    mac: Option<String>,
    addresses: Vec<String>,
    dns: Vec<Ipv4Addr>,
    routes: Vec<Route>,
    access_points: Vec<AccessPoint>,
    regulatory_domain: Option<String>,
    bond: Option<Bonded>,
    vlan: Option<Tagged>,
}

#[derive(Debug, Serialize)]
struct Route {
    to: String,
    /// `None`: whatever is there is on the link itself.
    via: Option<IpAddr>,
    table: Option<u32>,
}

/// Several ports as one.
#[derive(Debug, Serialize)]
struct Bonded {
    ports: Vec<String>,
    mode: &'static str,
}

/// Tagged frames of a port.
#[derive(Debug, Serialize)]
struct Tagged {
    id: u16,
    port: String,
}

/// All that a node has, by what netplan makes of it.
#[derive(Default)]
struct Definitions {
    ethernets: Vec<Port>,
    wifis: Vec<Port>,
    bonds: Vec<Port>,
    vlans: Vec<Port>,
}

/// What netplan is told on a node.
pub(super) fn groups(from: &Inputs<'_>) -> Vec<Group> {
    let Inputs { cluster, node, .. } = *from;
    let network = &cluster.network;
    let mut all = Definitions::default();
    let port = match &network.mode {
        Mode::Gateway(_) if node.is_control_plane() => {
            gateway_port(network, cluster.kubernetes.services, node)
        }
        Mode::Gateway(_) | Mode::Lan(Lan { addressing: LanAddressing::Dhcp, .. }) => {
            leased_port(&network.link)
        }
        Mode::Lan(lan) => Port {
            addresses: vec![with_prefix(node.address, network.subnet)],
            dns: network.dns.clone(),
            routes: vec![default_route(lan.router)],
            ..Port::new(&network.link.interface())
        },
    };
    all.add(&network.link, with_ipv6(port, from), from);
    if let Some(gateway) = network.gateway().filter(|_| node.is_control_plane()) {
        all.add(&gateway.uplink.link, uplink_port(network, gateway), from);
    }
    let Definitions { ethernets, wifis, bonds, vlans } = all;
    let groups = [("ethernets", ethernets), ("wifis", wifis), ("bonds", bonds), ("vlans", vlans)];
    let filled = groups.into_iter().filter(|(_, ports)| !ports.is_empty());
    filled.map(|(kind, ports)| Group { kind, ports }).collect()
}

impl Definitions {
    /// `port`, which has the link's addresses, and all that it takes to bring it up.
    fn add(&mut self, link: &Link, mut port: Port, from: &Inputs<'_>) {
        let medium = &link.medium;
        if let Some(id) = link.vlan {
            port.vlan = Some(Tagged { id, port: medium.interface().to_owned() });
            self.vlans.push(port);
            port = Port::carrier(medium.interface());
        }
        match medium {
            Medium::Ethernet(_) => self.ethernet(port),
            Medium::Wifi(radio) => {
                port.access_points = radio::access_points(from);
                port.regulatory_domain = radio.country.clone().filter(|_| from.platform.netplan_sets_country);
                self.wifis.push(port);
            }
            Medium::Bond(bond) => {
                port.bond = Some(Bonded { ports: bond.ports.clone(), mode: bond.mode.as_str() });
                // Otherwise systemd makes one up, and the DHCP server would not know the node by it.
                port.mac = from.node.mac.map(|mac| mac.to_string());
                self.bonds.push(port);
                bond.ports.iter().for_each(|port| self.ethernet(Port::carrier(port)));
            }
        }
    }

    /// Networks may share a port, where all but one of them are VLANs.
    fn ethernet(&mut self, port: Port) {
        match self.ethernets.iter_mut().find(|other| other.name == port.name) {
            Some(other) if other.is_carrier => *other = port,
            Some(_) => {}
            None => self.ethernets.push(port),
        }
    }
}

impl Port {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            optional: false,
            dhcp: false,
            keep_lease: false,
            ignore_carrier: false,
            is_carrier: false,
            takes_announcements: None,
            mac: None,
            addresses: Vec::new(),
            dns: Vec::new(),
            routes: Vec::new(),
            access_points: Vec::new(),
            regulatory_domain: None,
            bond: None,
            vlan: None,
        }
    }

    /// A port that has no address of its own: others are on top of it. Boot waits for those.
    fn carrier(name: &str) -> Self {
        Self { optional: true, is_carrier: true, takes_announcements: Some(false), ..Self::new(name) }
    }
}

/// A port whose address the node is known by: it keeps it, and with it all pods, while the DHCP
/// server is away.
fn leased_port(link: &Link) -> Port {
    Port { dhcp: true, keep_lease: true, ..Port::new(&link.interface()) }
}

/// The gateway's port to the other nodes. It is not waited for: what boot waits for is the uplink,
/// without which nothing can be installed. Its route to the services is there for when the uplink
/// is down: with no route at all, pods on the host's network could not reach even the API server.
fn gateway_port(network: &Network, services: Ipv4Net, node: &Node) -> Port {
    Port {
        optional: true,
        ignore_carrier: true,
        addresses: vec![with_prefix(node.address, network.subnet)],
        routes: vec![Route { to: services.to_string(), via: None, table: Some(LAST_RESORT) }],
        ..Port::new(&network.link.interface())
    }
}

fn uplink_port(network: &Network, gateway: &Gateway) -> Port {
    let Uplink { link, addressing, .. } = &gateway.uplink;
    let mut port = Port { dns: network.dns.clone(), ..Port::new(&link.interface()) };
    // Said, and not left to networkd: what that does by itself hangs on whether it takes the machine for one that
    // forwards, and announcements are how the node gets its way out.
    port.takes_announcements = network.ipv6.is_some().then_some(true);
    match addressing {
        UplinkAddressing::Dhcp => port.dhcp = true,
        UplinkAddressing::Static { address, router } => {
            port.addresses = vec![address.to_string()];
            port.routes = vec![default_route(*router)];
        }
    }
    port
}

/// A port of the nodes' network, with its IPv6 side where there is one. Announcements are not taken there: the node is known
/// by the one address that its card says, and flannel, which makes routes to what it finds on the port, finds no other.
fn with_ipv6(mut port: Port, from: &Inputs<'_>) -> Port {
    let network = &from.cluster.network;
    let (Some(Ipv6 { subnet, services, router, .. }), Some(address)) = (&network.ipv6, from.node.ipv6) else {
        return port;
    };
    port.takes_announcements = Some(false);
    port.addresses.push(format!("{address}/{}", subnet.prefix_len()));
    let leader = match network.mode {
        Mode::Gateway(_) => from.control_plane.ipv6.filter(|_| !from.node.is_control_plane()),
        Mode::Lan(_) => *router,
    };
    port.routes.push(match leader {
        Some(leader) => Route { to: EVERYWHERE_6.to_owned(), via: Some(leader.into()), table: None },
        // As gateway_port's, and in `main`: the kernel has no other table for it.
        None => Route { to: services.to_string(), via: None, table: None },
    });
    port
}

fn default_route(via: Ipv4Addr) -> Route {
    Route { to: EVERYWHERE.to_owned(), via: Some(via.into()), table: None }
}

fn with_prefix(address: Ipv4Addr, subnet: Ipv4Net) -> String {
    format!("{address}/{}", subnet.prefix_len())
}
