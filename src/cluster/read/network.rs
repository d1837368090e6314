//! `[network]` and the tables in it.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::{Ipv4Net, Ipv6Net};

use super::passwords::Passwords;
use super::wifi::{self, Networks};
use crate::cluster::toml::{Document, Table, Value};
use crate::cluster::{
    Bond, BondMode, Dhcp, Gateway, Ipv6, Lan, LanAddressing, Link, Medium, Mode, Network, Node, Radio,
    Uplink, UplinkAddressing, check, defaults, ipv6, plan,
};

/// What the nodes' addresses follow from, and the rest of the table.
pub(super) struct Addresses<'d, 't> {
    table: Table<'d, 't>,
    pub(super) subnet: Ipv4Net,
    pub(super) first: Option<Ipv4Addr>,
    pub(super) ipv6: Option<Ipv6>,
    lan: bool,
}

pub(super) fn addresses<'d, 't>(root: &mut Table<'d, 't>, document: &Document<'_>) -> Addresses<'d, 't> {
    let mut table = root.table("network");
    let lan = table.choose("mode", &[("gateway", false), ("lan", true)]).unwrap_or(false);
    let subnet = table.read("subnet", check::network);
    let subnet = subnet.unwrap_or(defaults::SUBNET);
    if plan::host_range(subnet).is_none() {
        let message = format!("{subnet} is too small: the largest prefix length for one is /30");
        document.report("network.subnet", message);
    }
    let first = table.read("first-address", check::address);
    // In gateway mode the network is the cluster's own, so its first address is free.
    let own = || plan::host_range(subnet).map(|(first, _)| first).filter(|_| !lan);
    let ipv6 = ipv6_networks(table.table("ipv6"), document);
    Addresses { table, subnet, first: first.or_else(own), ipv6, lan }
}

/// `[network.ipv6]`. Of the nodes' network nothing can be a default: a unique local prefix is to be drawn (RFC 4193), and
/// what a description without one has in common with others, its name, would make the same prefix for all.
fn ipv6_networks(mut table: Table<'_, '_>, document: &Document<'_>) -> Option<Ipv6> {
    let [subnet, pods, services] = ["subnet", "pods", "services"].map(|key| table.read(key, ipv6::network));
    let router = table.read("router", ipv6::router);
    table.finish();
    if !document.is_set("network.ipv6") {
        return None;
    }
    let Some(subnet) = subnet else {
        if !document.is_set("network.ipv6.subnet") {
            let message = "must be given: the /64 that the nodes are in, such as fd12:3456:789a::/64 with digits of your \
                           own: fd and ten random hex digits (RFC 4193), as pibake init draws them";
            document.report("network.ipv6.subnet", message);
        }
        return None;
    };
    if subnet.prefix_len() != ipv6::LINK_PREFIX {
        let message = format!("{subnet} must be a /{}: the network of one link", ipv6::LINK_PREFIX);
        document.report("network.ipv6.subnet", message);
    }
    let siblings = ipv6::siblings(subnet).unzip();
    let other = |key: &str, given: Option<Ipv6Net>, default: Option<Ipv6Net>| {
        given.or(default).or_else(|| {
            if !document.is_set(key) {
                let message = "must be given where the subnet is not a unique local one: what else of its prefix is yours \
                               cannot be known";
                document.report(key, message);
            }
            None
        })
    };
    let pods = other("network.ipv6.pods", pods, siblings.0);
    let services = other("network.ipv6.services", services, siblings.1);
    Some(Ipv6 { subnet, pods: pods?, services: services?, router })
}

pub(super) fn network(
    addresses: Addresses<'_, '_>,
    document: &Document<'_>,
    nodes: &[Node],
    dir: &Path,
    passwords: &Passwords,
) -> Network {
    let Addresses { mut table, subnet, lan, ipv6, .. } = addresses;
    let keys = link_keys(&mut table);
    let keys = LinkKeys { bond: bond(&mut table, document), ..keys };
    let dns = table.texts("dns").map(|list| {
        if list.is_empty() {
            document.report("network.dns", "must name at least one DNS server");
        }
        list.into_iter().filter_map(|f| f.check(|t| check::address(t))).collect()
    });
    let only = |lan_only: bool, key: &str| {
        if document.is_set(key) && lan != lan_only {
            let (here, there) = if lan_only { ("lan", "gateway") } else { ("gateway", "lan") };
            document.report(key, format!("is for mode = {here:?} only, but the mode is {there:?}"));
        }
    };

    let router = table.read("router", check::address);
    let addressing =
        table.choose("addressing", &[("static", LanAddressing::Static), ("dhcp", LanAddressing::Dhcp)]);
    let wifi = wifi::networks(table.table("wifi"), document, dir, passwords);
    // In gateway mode it is the gateway that has a radio, in lan mode all are on the network by it.
    let (own, outer) = if lan { (wifi, None) } else { (None, wifi) };
    let link = keys.link(document, own, defaults::INTERFACE);
    let uplink = uplink(table.table("uplink"), document, outer);
    let dhcp = dhcp(table.table("dhcp"), document, subnet, nodes);
    ["network.router", "network.addressing", "network.ipv6.router"]
        .into_iter()
        .for_each(|key| only(true, key));
    ["network.uplink", "network.dhcp"].into_iter().for_each(|key| only(false, key));
    table.finish();

    Network {
        subnet,
        ipv6,
        link,
        dns: dns.unwrap_or_else(|| defaults::DNS.to_vec()),
        mode: if lan {
            Mode::Lan(Lan {
                router: router
                    .or_else(|| plan::host_range(subnet).map(|(first, _)| first))
                    .unwrap_or(Ipv4Addr::UNSPECIFIED),
                addressing: addressing.unwrap_or(LanAddressing::Static),
            })
        } else {
            Mode::Gateway(Gateway { uplink, dhcp })
        },
    }
}

/// The keys that say what a network is on by, as they were read.
pub(super) struct LinkKeys {
    interface: Option<String>,
    vlan: Option<u16>,
    bond: Option<Bond>,
}

fn link_keys(table: &mut Table<'_, '_>) -> LinkKeys {
    let interface = table.read("interface", check::interface);
    let vlan = table.take("vlan").and_then(Value::whole_number);
    let vlan = vlan.and_then(|field| field.check(|number| check::vlan(*number)));
    LinkKeys { interface, vlan, bond: None }
}

/// `bond` and `bond-mode`, which the network between the nodes alone has.
fn bond(table: &mut Table<'_, '_>, document: &Document<'_>) -> Option<Bond> {
    let ports = table.read_each("bond", check::interface);
    let mode = table.choose("bond-mode", &BondMode::ALL.map(|mode| (mode.as_str(), mode)));
    let fault = |key: &str, message: &str| document.report(key, message);
    if !document.is_set("network.bond") {
        if document.is_set("network.bond-mode") {
            fault("network.bond-mode", "needs \"bond\" beside it: the ports, such as [\"eth0\", \"eth1\"]");
        }
        return None;
    }
    if ports.len() < 2 {
        fault("network.bond", "must name two ports or more; a single one goes under \"interface\"");
    }
    if document.is_set("network.interface") {
        fault("network.interface", "goes without \"bond\": the bond is the interface");
    }
    Some(Bond { ports, mode: mode.unwrap_or_default() })
}

impl LinkKeys {
    /// The link, by radio where there are radio networks, and on `port` where nothing else is said.
    fn link(self, document: &Document<'_>, wifi: Option<Networks>, port: &str) -> Link {
        let Self { interface, vlan, bond } = self;
        let medium = match (bond, wifi) {
            (Some(bond), None) => Medium::Bond(bond),
            (None, None) => Medium::Ethernet(interface.unwrap_or_else(|| port.to_owned())),
            (bond, Some(Networks { networks, country })) => {
                if bond.is_some() {
                    document.report("network.bond", "goes without [network.wifi]: drop one of the two");
                }
                let interface = interface.unwrap_or_else(|| defaults::WIFI_INTERFACE.to_owned());
                Medium::Wifi(Radio { interface, networks, country })
            }
        };
        Link { medium, vlan }
    }
}

fn uplink(mut table: Table<'_, '_>, document: &Document<'_>, wifi: Option<Networks>) -> Uplink {
    let keys = link_keys(&mut table);
    let address = table.text("address").map(|f| f.check(|t| check::interface_address(t)));
    let router = table.text("router").map(|f| f.check(|t| check::address(t)));
    let allow = table.read_each("allow", check::opening);
    table.finish();
    let addressing = match (address, router) {
        (None, None) => UplinkAddressing::Dhcp,
        (Some(address), Some(router)) => match (address, router) {
            (Some(address), Some(router)) => UplinkAddressing::Static { address, router },
            _ => UplinkAddressing::Dhcp, // reported already
        },
        (Some(_), None) => {
            document.report("network.uplink.address", "needs \"router\" beside it: the default route");
            UplinkAddressing::Dhcp
        }
        (None, Some(_)) => {
            let message = "needs \"address\" beside it; without both, the uplink asks by DHCP";
            document.report("network.uplink.router", message);
            UplinkAddressing::Dhcp
        }
    };
    Uplink { link: keys.link(document, wifi, defaults::UPLINK_INTERFACE), addressing, allow }
}

fn dhcp(mut table: Table<'_, '_>, document: &Document<'_>, subnet: Ipv4Net, nodes: &[Node]) -> Dhcp {
    let range = table.read("range", check::address_range);
    let mut seconds = |key, default| {
        let field = table.take(key).and_then(|v| v.whole_number());
        // dhcpd keeps times in 32 signed bits.
        let check = |n: &u32| match *n {
            60..=0x7fff_ffff => Ok(*n),
            _ => Err("must be a number of seconds, 60 or more"),
        };
        field.and_then(|f| f.check(check)).unwrap_or(default)
    };
    let default_lease_seconds = seconds("default-lease-time", defaults::DEFAULT_LEASE_SECONDS);
    let max_lease_seconds = seconds("max-lease-time", defaults::MAX_LEASE_SECONDS);
    table.finish();
    if max_lease_seconds < default_lease_seconds {
        let message = format!(
            "must be at least default-lease-time, which is {default_lease_seconds}; it is {max_lease_seconds}"
        );
        document.report("network.dhcp.max-lease-time", message);
    }
    if let (Some((first, last)), Some((lowest, highest))) = (range, plan::host_range(subnet))
        && (first < lowest || last > highest)
    {
        let message = format!("must lie between {lowest} and {highest}, in network.subnet");
        document.report("network.dhcp.range", message);
    }
    let given = range.is_some();
    let range = range.or_else(|| plan::default_pool(subnet));
    let pool = range.map_or_else(Vec::new, |range| plan::subtract(range, nodes.iter().map(|n| n.address)));
    if given && pool.is_empty() {
        document
            .report("network.dhcp.range", "leaves nothing to hand out: all of it is nodes' own addresses");
    }
    Dhcp { pool, default_lease_seconds, max_lease_seconds }
}
