//! What the parts of a description must be to each other.

mod connectivity;
mod disks;
mod links;
mod networks;

use std::collections::BTreeMap;

use super::problem::Problem;
use super::{Cluster, NetworkPlugin, Node, Role, plan, platform};
use crate::catalog::Spec;

/// Everything that does not go together, in no order that matters.
pub(super) fn problems(cluster: &Cluster) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut report = |key: &str, message: String| found.push(cluster.origins.problem(key, message));
    base(cluster, &mut report);
    roles(&cluster.nodes, &mut report);
    addresses(cluster, &mut report);
    duplicates(&cluster.nodes, &mut report);
    networks::sizes(cluster, &mut report);
    networks::overlaps(cluster, &mut report);
    connectivity::name_servers(cluster, &mut report);
    links::hardware(cluster, &mut report);
    links::shared(cluster, &mut report);
    connectivity::routers(cluster, &mut report);
    disks::boards(cluster, &mut report);
    disks::quirks(cluster, &mut report);
    connectivity::ipv6_router(cluster, &mut report);
    flannel(cluster, &mut report);
    found
}

/// What an image is may be seen in it; that of a release is large, and is not fetched to be refused then.
fn base(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    if let Spec::Release(release) = cluster.base.image
        && cluster.stated_platform().is_none()
    {
        let message = format!(
            "Ubuntu {release} is unknown to this version of pibake, which knows {}: take one of these, or set \
             base.platform to the one that it is most like",
            platform::names()
        );
        report("base.image", message);
    }
}

/// A flannel that knows no dual-stack would make a network of IPv4 alone, and the pods' IPv6 addresses lead nowhere.
fn flannel(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let kubernetes = &cluster.kubernetes;
    if cluster.network.ipv6.is_none() || kubernetes.plugin == NetworkPlugin::None {
        return;
    }
    if !kubernetes.flannel.routes_ipv6() {
        let message = "knows no IPv6: with [network.ipv6] it must be v0.15.0 or newer";
        report("kubernetes.flannel.image", message.to_owned());
    }
    if !kubernetes.flannel.plugin_knows_ipv6() {
        let message = "knows no IPv6: with [network.ipv6] it must be v1.0.1 or newer";
        report("kubernetes.flannel.cni-plugin-image", message.to_owned());
    }
}

fn roles(nodes: &[Node], report: &mut impl FnMut(&str, String)) {
    let planes: Vec<&Node> = nodes.iter().filter(|n| n.role == Role::ControlPlane).collect();
    match planes.as_slice() {
        [] => report(
            "nodes",
            "none of the nodes is the control plane: give one role = \"control-plane\"".into(),
        ),
        [_] => {}
        [first, second, ..] => report(
            &format!("nodes[{}].role", second.number),
            format!(
                "only one node can be the control plane, and {} is already: pibake builds no clusters \
                 with several, which need a shared address and etcd members that join one by one",
                first.name
            ),
        ),
    }
}

fn addresses(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let subnet = cluster.network.subnet;
    let Some((first, last)) = plan::host_range(subnet) else { return };
    for node in &cluster.nodes {
        let (number, address) = (node.number, node.address);
        let fault = if address == subnet.network() {
            format!("is the address of network.subnet {subnet} itself")
        } else if address == subnet.broadcast() {
            format!("is the broadcast address of network.subnet {subnet}")
        } else if (first..=last).contains(&address) {
            continue;
        } else {
            format!("lies outside of network.subnet {subnet}, which has {first} to {last}")
        };
        let own = format!("nodes[{number}].address");
        if cluster.origins.is_set(&own) {
            report(&own, format!("{address} {fault}"));
        } else {
            // It follows from the first, and so will the next ones.
            report("network.first-address", format!("{} would get {address}, which {fault}", node.name));
            return;
        }
    }
}

fn duplicates(nodes: &[Node], report: &mut impl FnMut(&str, String)) {
    let mut names = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    let mut macs = BTreeMap::new();
    for node in nodes {
        let (number, key) = (node.number, |what: &str| format!("nodes[{}].{what}", node.number));
        if let Some(other) = names.insert(&node.name, node) {
            let message = format!("nodes {} and {number} are both named {}", other.number, node.name);
            report(&key("name"), message);
        }
        if let Some(other) = addresses.insert(node.address, node) {
            let message = format!("{} and {} both have the address {}", other.name, node.name, node.address);
            report(&key("address"), message);
        }
        if let Some(mac) = node.mac
            && let Some(other) = macs.insert(mac, node)
        {
            report(
                &key("mac"),
                format!("{} and {} both have the hardware address {mac}", other.name, node.name),
            );
        }
    }
}
