//! One node's network ports, as netplan is told them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::cluster::{Gateway, LanAddressing, Mode, Network, Node, Uplink, UplinkAddressing};

/// Metric of the route to the service network: more than any route that DHCP (100) or the radio
/// (600) brings, so that it counts only where there is no other.
const LAST_RESORT: u32 = 10_000;

/// netplan's destination of a default route; its word `default` is newer than Ubuntu 20.04's.
const EVERYWHERE: &str = "0.0.0.0/0";

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
    /// It keeps its address with no cable in it.
    ignore_carrier: bool,
    addresses: Vec<String>,
    dns: Vec<Ipv4Addr>,
    routes: Vec<Route>,
    wifi: Option<Radio>,
    regulatory_domain: Option<String>,
}

#[derive(Debug, Serialize)]
struct Route {
    to: String,
    /// `None`: whatever is there is on the link itself.
    via: Option<Ipv4Addr>,
    metric: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Radio {
    ssid: String,
    hidden: bool,
    /// 64 hex digits; `None` for an open network.
    psk: Option<String>,
}

/// What netplan is told on `node`. `psk` is the radio network's key; `country` is given where
/// netplan is to set it.
pub(super) fn groups(
    network: &Network,
    services: Ipv4Net,
    node: &Node,
    psk: Option<&str>,
    country: Option<&str>,
) -> Vec<Group> {
    let mut wired = Vec::new();
    let mut radio = Vec::new();
    match &network.mode {
        Mode::Gateway(gateway) if node.is_control_plane() => {
            wired.push(gateway_port(network, services, node));
            let uplink = uplink_port(network, gateway, psk, country);
            let kind = if uplink.wifi.is_some() { &mut radio } else { &mut wired };
            kind.push(uplink);
        }
        Mode::Gateway(_) => wired.push(Port { dhcp: true, ..Port::new(&network.interface) }),
        Mode::Lan(lan) => wired.push(match lan.addressing {
            LanAddressing::Dhcp => Port { dhcp: true, ..Port::new(&network.interface) },
            LanAddressing::Static => Port {
                addresses: vec![with_prefix(node.address, network.subnet)],
                dns: network.dns.clone(),
                routes: vec![default_route(lan.router)],
                ..Port::new(&network.interface)
            },
        }),
    }
    let groups = [("ethernets", wired), ("wifis", radio)];
    let filled = groups.into_iter().filter(|(_, ports)| !ports.is_empty());
    filled.map(|(kind, ports)| Group { kind, ports }).collect()
}

impl Port {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            optional: false,
            dhcp: false,
            ignore_carrier: false,
            addresses: Vec::new(),
            dns: Vec::new(),
            routes: Vec::new(),
            wifi: None,
            regulatory_domain: None,
        }
    }
}

/// The gateway's port to the other nodes. It is not waited for: what boot waits for is the uplink,
/// without which nothing can be installed. Its route to the services is there for when the uplink
/// is down: with no route at all, pods on the host's network could not reach even the API server.
fn gateway_port(network: &Network, services: Ipv4Net, node: &Node) -> Port {
    Port {
        optional: true,
        ignore_carrier: true,
        addresses: vec![with_prefix(node.address, network.subnet)],
        routes: vec![Route { to: services.to_string(), via: None, metric: Some(LAST_RESORT) }],
        ..Port::new(&network.interface)
    }
}

fn uplink_port(network: &Network, gateway: &Gateway, psk: Option<&str>, country: Option<&str>) -> Port {
    let Uplink { interface, wifi, addressing } = &gateway.uplink;
    let mut port = Port { dns: network.dns.clone(), ..Port::new(interface) };
    match addressing {
        UplinkAddressing::Dhcp => port.dhcp = true,
        UplinkAddressing::Static { address, router } => {
            port.addresses = vec![address.to_string()];
            port.routes = vec![default_route(*router)];
        }
    }
    if let Some(wifi) = wifi {
        port.wifi = Some(Radio { ssid: wifi.ssid.clone(), hidden: wifi.hidden, psk: psk.map(str::to_owned) });
        port.regulatory_domain = country.map(str::to_owned);
    }
    port
}

fn default_route(via: Ipv4Addr) -> Route {
    Route { to: EVERYWHERE.to_owned(), via: Some(via), metric: None }
}

fn with_prefix(address: Ipv4Addr, subnet: Ipv4Net) -> String {
    format!("{address}/{}", subnet.prefix_len())
}
