//! What the nodes are on their networks by.

use crate::cluster::interface::{self, Kind};
use crate::cluster::{Cluster, Link, Medium};

/// Where a description says what a link is on.
struct Keys {
    interface: &'static str,
    vlan: &'static str,
}

const INNER: Keys = Keys { interface: "network.interface", vlan: "network.vlan" };
const OUTER: Keys = Keys { interface: "network.uplink.interface", vlan: "network.uplink.vlan" };

/// Only what hardware brings is there without somebody who creates it, and netplan configures each
/// kind in a way of its own.
pub(super) fn hardware(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let network = &cluster.network;
    match &network.link.medium {
        Medium::Ethernet(port) => {
            if let Kind::Radio = interface::kind(port) {
                report(INNER.interface, not_by_radio(cluster, port));
            }
        }
        Medium::Bond(bond) => {
            for (n, port) in bond.ports.iter().enumerate() {
                let key = format!("network.bond[{}]", n + 1);
                if bond.ports.iter().take(n).any(|other| other == port) {
                    report(&key, format!("{port} is in the bond already"));
                } else if let Kind::Radio = interface::kind(port) {
                    report(&key, format!("{port} is a radio, and a bond is of Ethernet ports"));
                } else if let Kind::Virtual(what) = interface::kind(port) {
                    report(&key, not_created(port, what));
                }
            }
        }
        Medium::Wifi(_) => {}
    }
    let uplink = network.gateway().map(|gateway| (&gateway.uplink.link, &OUTER));
    for (link, keys) in std::iter::once((&network.link, &INNER)).chain(uplink) {
        one(link, keys, report);
    }
    if let Some((link, keys)) = uplink
        && let (Medium::Ethernet(port), Kind::Radio) =
            (&link.medium, interface::kind(link.medium.interface()))
    {
        let message = format!(
            "{port} is a radio: describe its network in [network.wifi]; by cable, name the Ethernet port, such as eth1"
        );
        report(keys.interface, message);
    }
}

/// What is true of every link.
fn one(link: &Link, keys: &Keys, report: &mut impl FnMut(&str, String)) {
    let name = link.medium.interface();
    match (&link.medium, interface::kind(name)) {
        (Medium::Ethernet(_) | Medium::Wifi(_), Kind::Virtual(what)) => {
            report(keys.interface, not_created(name, what));
        }
        (Medium::Wifi(_), Kind::Cable) => report(
            keys.interface,
            format!(
                "{name} is an Ethernet port, but [network.wifi] describes a radio network: name the radio, such as \
                 wlan0, or remove [network.wifi]"
            ),
        ),
        _ => {}
    }
    if matches!(link.medium, Medium::Wifi(_)) && link.vlan.is_some() {
        report(
            keys.vlan,
            "does not go with [network.wifi]: an access point takes no tagged frames".to_owned(),
        );
    }
}

fn not_created(name: &str, what: &str) -> String {
    let key = match what {
        "a VLAN" => ", and the VLAN's number under \"vlan\"",
        "a bond" => "; the ports of a bond between the nodes go under network.bond",
        _ => "",
    };
    format!("{name} is the name of {what}, which is no hardware: name a port of the board, such as eth0{key}")
}

fn not_by_radio(cluster: &Cluster, port: &str) -> String {
    if cluster.network.gateway().is_none() {
        return format!(
            "{port} is a radio: describe its network in [network.wifi]; by cable, name the Ethernet port, such as eth0"
        );
    }
    format!(
        "{port} is a radio, but in gateway mode the nodes are on this network by cable: name the Ethernet port, such as \
         eth0. A radio can be node-1's uplink: describe its network in [network.wifi]. With mode = \"lan\" all nodes \
         can be on a network by WiFi"
    )
}

/// Two networks on one port are told apart by their tags.
pub(super) fn shared(cluster: &Cluster, report: &mut impl FnMut(&str, String)) {
    let network = &cluster.network;
    let Some(gateway) = network.gateway() else { return };
    let (inner, outer) = (&network.link, &gateway.uplink.link);
    if inner.vlan.is_some() && inner.vlan == outer.vlan {
        report(
            OUTER.vlan,
            format!("must differ from network.vlan, which is {}", inner.vlan.unwrap_or_default()),
        );
        return;
    }
    let Some(port) = outer.medium.hardware().iter().find(|port| inner.medium.hardware().contains(port))
    else {
        return;
    };
    if let Medium::Bond(_) = inner.medium {
        report(OUTER.interface, format!("{port} is one of the ports of network.bond: name another one"));
    } else if inner.vlan == outer.vlan {
        report(
            OUTER.interface,
            format!(
                "must differ from network.interface, which is {port}; or let one of the two be a VLAN there: \
                 network.uplink.vlan"
            ),
        );
    }
}
