//! One node's network ports, as netplan is told them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::inputs::Inputs;
use super::secrets::reveal_some;
use crate::cluster::{
    Gateway, LanAddressing, Mode, Network, Node, Secret, Security, Uplink, UplinkAddressing, Wifi, WifiKey,
};

/// The routing table `default` (rt_tables), in which the kernel looks after `main`, and so only
/// where that has no way at all (ip-rule(8)). In `main` even the last of metrics would win over a
/// wider route, such as the way out.
const LAST_RESORT: u32 = 253;

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
    /// It keeps the address that it leased, also when the server does not answer any more.
    keep_lease: bool,
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
    table: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Radio {
    ssid: String,
    hidden: bool,
    /// netplan's word for how the key is used; `None` where netplan is to offer all that it knows.
    key_management: Option<&'static str>,
    /// 64 hex digits, or the passphrase; `None` for an open network.
    #[serde(serialize_with = "reveal_some")]
    password: Option<Secret>,
}

/// What netplan is told on a node. `country` is given where netplan is to set it.
pub(super) fn groups(from: &Inputs<'_>, country: Option<&str>) -> Vec<Group> {
    let Inputs { cluster, node, .. } = *from;
    let network = &cluster.network;
    let mut wired = Vec::new();
    let mut radio = Vec::new();
    match &network.mode {
        Mode::Gateway(gateway) if node.is_control_plane() => {
            wired.push(gateway_port(network, cluster.kubernetes.services, node));
            let uplink = uplink_port(network, gateway, radio_of(from), country);
            let kind = if uplink.wifi.is_some() { &mut radio } else { &mut wired };
            kind.push(uplink);
        }
        Mode::Gateway(_) => wired.push(leased_port(network)),
        Mode::Lan(lan) => wired.push(match lan.addressing {
            LanAddressing::Dhcp => leased_port(network),
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
            keep_lease: false,
            ignore_carrier: false,
            addresses: Vec::new(),
            dns: Vec::new(),
            routes: Vec::new(),
            wifi: None,
            regulatory_domain: None,
        }
    }
}

/// A port whose address the node is known by: it keeps it, and with it all pods, while the DHCP
/// server is away.
fn leased_port(network: &Network) -> Port {
    Port { dhcp: true, keep_lease: true, ..Port::new(&network.interface) }
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
        ..Port::new(&network.interface)
    }
}

fn uplink_port(network: &Network, gateway: &Gateway, radio: Option<Radio>, country: Option<&str>) -> Port {
    let Uplink { interface, addressing, .. } = &gateway.uplink;
    let mut port = Port { dns: network.dns.clone(), ..Port::new(interface) };
    match addressing {
        UplinkAddressing::Dhcp => port.dhcp = true,
        UplinkAddressing::Static { address, router } => {
            port.addresses = vec![address.to_string()];
            port.routes = vec![default_route(*router)];
        }
    }
    if radio.is_some() {
        port.regulatory_domain = country.map(str::to_owned);
    }
    port.wifi = radio;
    port
}

fn radio_of(from: &Inputs<'_>) -> Option<Radio> {
    let Wifi { ssid, hidden, security, key, .. } = from.cluster.network.wifi()?;
    // What a newer netplan writes, wpa_supplicant decodes: `\\` is one backslash then.
    let ssid = if from.platform.netplan_1 { ssid.replace('\\', "\\\\") } else { ssid.clone() };
    let (key_management, password) = match security {
        _ if *key == WifiKey::Open => (None, &None),
        Security::Wpa3 => (Some("sae"), &from.secrets.wifi_passphrase),
        // Without a kind of key, newer ones offer WPA2 and WPA3.
        Security::Wpa2OrWpa3 if from.cluster.needs_passphrase(from.platform) => {
            (None, &from.secrets.wifi_passphrase)
        }
        // And that would be wrong here: of these digits WPA3 can make nothing.
        Security::Wpa2 | Security::Wpa2OrWpa3 => (Some("psk"), &from.secrets.wifi_psk),
    };
    Some(Radio { ssid, hidden: *hidden, key_management, password: password.clone() })
}

fn default_route(via: Ipv4Addr) -> Route {
    Route { to: EVERYWHERE.to_owned(), via: Some(via), table: None }
}

fn with_prefix(address: Ipv4Addr, subnet: Ipv4Net) -> String {
    format!("{address}/{}", subnet.prefix_len())
}
