//! The ways into and out of the cluster: routers and name servers.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::cluster::{Cluster, Ipv6, Mode, UplinkAddressing, plan};

/// Every name server is handed to all nodes, and CoreDNS passes the pods' questions on to it.
pub(super) fn name_servers(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    for (n, address) in cluster.network.dns.iter().enumerate() {
        if let Some(fault) = name_server_fault(cluster, *address) {
            report(&format!("network.dns[{}]", n + 1), format!("{address} {fault}"));
        }
    }
}

/// Why no name server can have this address.
fn name_server_fault(cluster: &Cluster, address: Ipv4Addr) -> Option<String> {
    let [first, ..] = address.octets();
    let kind = if address.is_loopback() {
        "is a loopback address: each node would ask itself"
    } else if address.is_multicast() {
        "is a multicast address"
    } else if address.is_broadcast() {
        "is the broadcast address"
    } else if first == 0 {
        "means \"this network\""
    } else if first >= 240 {
        "is a reserved address"
    } else if address.is_link_local() {
        "is a link-local address, which is not routed"
    } else {
        return cluster_address_fault(cluster, address);
    };
    Some(format!("{kind}. Give the address of a DNS server, such as your router's"))
}

fn cluster_address_fault(cluster: &Cluster, address: Ipv4Addr) -> Option<String> {
    let (network, kubernetes) = (&cluster.network, &cluster.kubernetes);
    if let Some(node) = cluster.nodes.iter().find(|node| node.address == address) {
        return Some(format!("is {}'s own address, and pibake installs no DNS server there", node.name));
    }
    for (key, net) in [("services", kubernetes.services), ("pods", kubernetes.pods)] {
        if net.contains(&address) {
            return Some(format!(
                "lies in kubernetes.{key} {net}: the nodes need a DNS server that is there before the cluster is"
            ));
        }
    }
    if let Some(end) = end_of(network.subnet, address) {
        return Some(format!("is the {end} address of network.subnet {}", network.subnet));
    }
    if let Some(gateway) = network.gateway()
        && let UplinkAddressing::Static { address: own, .. } = gateway.uplink.addressing
    {
        if own.addr() == address {
            return Some("is the uplink's own address, and pibake installs no DNS server there".to_owned());
        }
        if let Some(end) = end_of(own, address) {
            return Some(format!("is the {end} address of the uplink's network {}", own.trunc()));
        }
    }
    None
}

/// Which end of a network an address is; a /31 and a /32 have none (RFC 3021).
fn end_of(net: Ipv4Net, address: Ipv4Addr) -> Option<&'static str> {
    match address {
        _ if net.prefix_len() > 30 => None,
        a if a == net.network() => Some("network"),
        a if a == net.broadcast() => Some("broadcast"),
        _ => None,
    }
}

/// The IPv6 router is on the nodes' link, and another machine than each of them.
pub(super) fn ipv6_router(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    const KEY: &str = "network.ipv6.router";
    let Some(Ipv6 { subnet, router: Some(router), .. }) = cluster.network.ipv6 else { return };
    if !router.is_unicast_link_local() && (!subnet.contains(&router) || router == subnet.network()) {
        report(
            KEY,
            format!("{router} must be a link-local address (fe80::…) or lie in network.ipv6.subnet {subnet}"),
        );
    } else if let Some(node) = cluster.nodes.iter().find(|node| node.ipv6 == Some(router)) {
        report(
            KEY,
            format!("{router} is the address of {} already, as it follows from {}", node.name, node.address),
        );
    }
}

/// A router is a host of the network that it leads out of, and another machine than the node.
pub(super) fn routers(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let (network, subnet) = (&cluster.network, cluster.network.subnet);
    match &network.mode {
        Mode::Gateway(gateway) => {
            let UplinkAddressing::Static { address, router } = gateway.uplink.addressing else { return };
            let mut fault = |message| report("network.uplink.router", message);
            if !address.contains(&router) {
                fault(format!("{router} must lie in the uplink's network {}", address.trunc()));
            } else if router == address.addr() {
                fault("must not be the uplink's own address".to_owned());
            } else if let Some(end) = end_of(address, router) {
                fault(format!("{router} is the {end} address of the uplink's network {}", address.trunc()));
            }
        }
        Mode::Lan(lan) => {
            let router = lan.router;
            if let Some(end) = end_of(subnet, router) {
                report("network.router", format!("{router} is the {end} address of network.subnet {subnet}"));
            } else if !plan::host_range(subnet).is_some_and(|(first, last)| (first..=last).contains(&router))
            {
                report("network.router", format!("must lie in network.subnet {subnet}"));
            }
            if let Some(node) = cluster.nodes.iter().find(|n| n.address == router) {
                report("network.router", format!("{router} is the address of {} already", node.name));
            }
        }
    }
}
