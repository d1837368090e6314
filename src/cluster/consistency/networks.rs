//! The networks of a cluster: how large each may be, and that no two share an address.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::cluster::defaults::net;
use crate::cluster::{Cluster, Ipv6, UplinkAddressing};

/// kube-controller-manager cuts a network of this prefix length out of the pods' for each node
/// (`--node-cidr-mask-size`).
const NODE_PREFIX: u8 = 24;

/// The same for IPv6 (`--node-cidr-mask-size-ipv6`).
const NODE_PREFIX_6: u8 = 64;

/// The most bits between a pod network's prefix and a node's (`PodSubnetNodeMaskMaxDiff` of
/// kubeadm's constants).
const MOST_NODE_BITS: u8 = 16;

/// Each network that the cluster's machines and pods are in, with the key that says it.
fn all(cluster: &Cluster) -> Vec<(&'static str, IpNet)> {
    let mut all = vec![
        ("network.subnet", cluster.network.subnet.into()),
        ("kubernetes.pods", cluster.kubernetes.pods.into()),
        ("kubernetes.services", cluster.kubernetes.services.into()),
    ];
    if let Some(ipv6) = &cluster.network.ipv6 {
        all.push(("network.ipv6.subnet", ipv6.subnet.into()));
        all.push(("network.ipv6.pods", ipv6.pods.into()));
        all.push(("network.ipv6.services", ipv6.services.into()));
    }
    if let Some(gateway) = cluster.network.gateway()
        && let UplinkAddressing::Static { address, .. } = gateway.uplink.addressing
    {
        all.push(("network.uplink.address", address.trunc().into()));
    }
    all
}

/// Two networks with an address in common could not both be reached.
pub(super) fn overlaps(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let all = all(cluster);
    for (n, (key, net)) in all.iter().enumerate() {
        for (other_key, other) in all.iter().take(n) {
            if !net.contains(other) && !other.contains(net) {
                continue;
            }
            // The one that the user wrote is the one to change.
            let (key, net, other_key, other) =
                if cluster.origins.is_set(key) || !cluster.origins.is_set(other_key) {
                    (key, net, other_key, other)
                } else {
                    (other_key, other, key, net)
                };
            report(key, format!("{net} overlaps {other_key} {other}: give one of the two another network"));
        }
    }
    for (key, net) in all {
        // What an IPv6 network may be, it is asked by itself.
        let IpNet::V4(net) = net else { continue };
        if let Some((_, what)) = UNUSABLE.iter().find(|(n, _)| n.contains(&net) || net.contains(n)) {
            report(key, format!("{net} holds {what}"));
        }
    }
}

/// What kubeadm and the API server ask of the size of a network.
pub(super) fn sizes(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let (pods, services) = (cluster.kubernetes.pods, cluster.kubernetes.services);
    let widest = NODE_PREFIX - MOST_NODE_BITS;
    let slices = NODE_PREFIX.checked_sub(pods.prefix_len()).map_or(0, |bits| 1_u64 << bits);
    if pods.prefix_len() < widest {
        report(
            "kubernetes.pods",
            format!(
                "{pods} is too large: kubeadm takes a /{widest} at most where every node gets a /{NODE_PREFIX}; \
                 perhaps {}",
                narrowed(pods, widest)
            ),
        );
    } else if slices < cluster.nodes.len() as u64 {
        let nodes = cluster.nodes.len();
        report(
            "kubernetes.pods",
            format!(
                "{pods} is too small: every node needs a /{NODE_PREFIX} of it, and there are {nodes} nodes"
            ),
        );
    }
    // kube-apiserver takes at most 20 bits of host part; kubeadm gives DNS the tenth address.
    if !(12..=27).contains(&services.prefix_len()) {
        report("kubernetes.services", format!("{services} must have a prefix length from /12 to /27"));
    }
    sizes_6(cluster, report);
}

/// The same of the IPv6 networks.
fn sizes_6(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let Some(Ipv6 { pods, services, .. }) = cluster.network.ipv6 else { return };
    let widest = NODE_PREFIX_6 - MOST_NODE_BITS;
    let slices = NODE_PREFIX_6.checked_sub(pods.prefix_len()).map_or(0, |bits| 1_u128 << bits);
    let nodes = cluster.nodes.len();
    if pods.prefix_len() < widest {
        let message = format!(
            "{pods} is too large: kubeadm takes a /{widest} at most where every node gets a /{NODE_PREFIX_6}; perhaps {}",
            Ipv6Net::new(pods.network(), widest).unwrap_or(pods)
        );
        report("network.ipv6.pods", message);
    } else if slices < nodes as u128 {
        let message = format!(
            "{pods} is too small: every node needs a /{NODE_PREFIX_6} of it, and there are {nodes} nodes"
        );
        report("network.ipv6.pods", message);
    }
    // As of IPv4: 20 bits of host part at most, and more than ten addresses.
    if !(108..=123).contains(&services.prefix_len()) {
        let message = format!("{services} must have a prefix length from /108 to /123");
        report("network.ipv6.services", message);
    }
}

fn narrowed(net: Ipv4Net, prefix: u8) -> Ipv4Net {
    Ipv4Net::new(net.network(), prefix).unwrap_or(net)
}

/// Networks that no machine can be reached in, by IANA's registry of special-purpose addresses (RFC 6890).
const UNUSABLE: [(Ipv4Net, &str); 4] = [
    (net([127, 0, 0, 0], 8), "loopback addresses"),
    (net([224, 0, 0, 0], 3), "multicast or reserved addresses"),
    (net([0, 0, 0, 0], 8), "addresses that mean \"this network\""),
    (net([169, 254, 0, 0], 16), "link-local addresses"),
];
