//! What the parts of a description must be to each other.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::problem::Problem;
use super::{Cluster, Mode, Node, Role, UplinkAddressing, plan};

/// Everything that does not go together, in no order that matters.
pub(super) fn problems(cluster: &Cluster) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut say = |key: &str, message: String| found.push(cluster.origins.problem(key, message));
    roles(&cluster.nodes, &mut say);
    addresses(cluster, &mut say);
    unlike(&cluster.nodes, &mut say);
    networks(cluster, &mut say);
    way_out(cluster, &mut say);
    found
}

fn roles(nodes: &[Node], say: &mut impl FnMut(&str, String)) {
    let planes: Vec<&Node> = nodes.iter().filter(|n| n.role == Role::ControlPlane).collect();
    match planes.as_slice() {
        [] => {
            say("nodes", "none of the nodes is the control plane: give one role = \"control-plane\"".into())
        }
        [_] => {}
        [first, second, ..] => say(
            &format!("nodes[{}].role", second.number),
            format!(
                "only one node can be the control plane, and {} is already: pibake builds no clusters \
                 with several, which need a shared address and etcd members that join one by one",
                first.name
            ),
        ),
    }
}

fn addresses(cluster: &Cluster, say: &mut impl FnMut(&str, String)) {
    let subnet = cluster.network.subnet;
    let Some((first, last)) = plan::hosts(subnet) else { return };
    for node in &cluster.nodes {
        let (key, address) = (format!("nodes[{}].address", node.number), node.address);
        let reserved = address == subnet.network() || address == subnet.broadcast();
        // Without an address of its own, a node has one that follows from the first.
        let (key, fix) = if cluster.origins.given(&key) {
            (key, String::new())
        } else {
            ("network.first-address".to_owned(), format!(": {} would get {address}", node.name))
        };
        if reserved && cluster.origins.given(&key) {
            let which = if address == subnet.network() { "own" } else { "broadcast" };
            say(&key, format!("{address} is the {which} address of network.subnet {subnet}{fix}"));
        } else if !(first..=last).contains(&address) {
            say(&key, format!("must lie in network.subnet {subnet}, between {first} and {last}{fix}"));
            return;
        }
    }
}

fn unlike(nodes: &[Node], say: &mut impl FnMut(&str, String)) {
    let mut names: BTreeMap<&str, &Node> = BTreeMap::new();
    let mut addresses: BTreeMap<Ipv4Addr, &Node> = BTreeMap::new();
    let mut macs = BTreeMap::new();
    for node in nodes {
        let (number, key) = (node.number, |what: &str| format!("nodes[{}].{what}", node.number));
        if let Some(other) = names.insert(&node.name, node) {
            let message = format!("nodes {} and {number} are both named {}", other.number, node.name);
            say(&key("name"), message);
        }
        if let Some(other) = addresses.insert(node.address, node) {
            let message = format!("{} and {} both have the address {}", other.name, node.name, node.address);
            say(&key("address"), message);
        }
        if let Some(mac) = node.mac
            && let Some(other) = macs.insert(mac, node)
        {
            say(
                &key("mac"),
                format!("{} and {} both have the hardware address {mac}", other.name, node.name),
            );
        }
    }
}

fn networks(cluster: &Cluster, say: &mut impl FnMut(&str, String)) {
    let (pods, services) = (cluster.kubernetes.pods, cluster.kubernetes.services);
    let mut all = vec![
        ("network.subnet", cluster.network.subnet),
        ("kubernetes.pods", pods),
        ("kubernetes.services", services),
    ];
    if let Some(gateway) = cluster.network.gateway()
        && let UplinkAddressing::Static { address, .. } = gateway.uplink.addressing
    {
        all.push(("network.uplink.address", address.trunc()));
    }
    for (n, (key, net)) in all.iter().enumerate() {
        for (other_key, other) in all.iter().take(n) {
            if net.contains(other) || other.contains(net) {
                // The one that the user wrote is the one to change.
                let (key, net, other_key, other) =
                    if cluster.origins.given(key) || !cluster.origins.given(other_key) {
                        (key, net, other_key, other)
                    } else {
                        (other_key, other, key, net)
                    };
                say(key, format!("{net} overlaps {other_key} {other}"));
            }
        }
    }
    // kube-controller-manager cuts a /24 for each node (--node-cidr-mask-size).
    let slices = 24_u8.checked_sub(pods.prefix_len()).map_or(0, |bits| 1_u64 << bits);
    if slices < cluster.nodes.len() as u64 {
        let nodes = cluster.nodes.len();
        say(
            "kubernetes.pods",
            format!("{pods} is too small: every node needs a /24 of it, and there are {nodes} nodes"),
        );
    }
    // kube-apiserver takes at most 20 bits of host part; kubeadm gives DNS the tenth address.
    if !(12..=27).contains(&services.prefix_len()) {
        say("kubernetes.services", format!("{services} must have a prefix length from /12 to /27"));
    }
    for (key, net) in all {
        if let Some(what) = unusable(net) {
            say(key, format!("{net} {what}"));
        }
    }
}

/// Networks that no machine can be reached in.
fn unusable(net: Ipv4Net) -> Option<&'static str> {
    let within = |text: &str| text.parse::<Ipv4Net>().is_ok_and(|n| n.contains(&net) || net.contains(&n));
    // IANA's registry of special-purpose addresses (RFC 6890).
    if within("127.0.0.0/8") {
        Some("holds loopback addresses")
    } else if within("224.0.0.0/3") {
        Some("holds multicast or reserved addresses")
    } else if within("0.0.0.0/8") {
        Some("holds addresses that mean \"this network\"")
    } else if within("169.254.0.0/16") {
        Some("holds link-local addresses")
    } else {
        None
    }
}

fn way_out(cluster: &Cluster, say: &mut impl FnMut(&str, String)) {
    let (network, subnet) = (&cluster.network, cluster.network.subnet);
    match &network.mode {
        Mode::Gateway(gateway) => {
            let uplink = &gateway.uplink;
            if uplink.interface == network.interface {
                let message = format!("must differ from network.interface, which is {}", network.interface);
                say("network.uplink.interface", message);
            }
            if let UplinkAddressing::Static { address, router } = uplink.addressing {
                if !address.contains(&router) {
                    say(
                        "network.uplink.router",
                        format!("must lie in the uplink's network {}", address.trunc()),
                    );
                } else if router == address.addr() {
                    say("network.uplink.router", "must not be the uplink's own address".to_owned());
                }
            }
        }
        Mode::Lan(lan) => {
            if !plan::hosts(subnet).is_some_and(|(first, last)| (first..=last).contains(&lan.router)) {
                say("network.router", format!("must lie in network.subnet {subnet}"));
            }
            if let Some(node) = cluster.nodes.iter().find(|n| n.address == lan.router) {
                say("network.router", format!("{} is the address of {} already", lan.router, node.name));
            }
        }
    }
}
