//! `[network]` and the tables in it.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

use super::passwords::{self, Passwords};
use crate::cluster::toml::{Document, Table};
use crate::cluster::{
    Dhcp, Gateway, Lan, LanAddressing, Mode, Network, Node, Security, Uplink, UplinkAddressing, Wifi,
    WifiKey, check, country, defaults, plan,
};

/// What the nodes' addresses follow from, and the rest of the table.
pub(super) struct Addresses<'d, 't> {
    table: Table<'d, 't>,
    pub(super) subnet: Ipv4Net,
    pub(super) first: Option<Ipv4Addr>,
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
    Addresses { table, subnet, first: first.or_else(own), lan }
}

pub(super) fn network(
    addresses: Addresses<'_, '_>,
    document: &Document<'_>,
    nodes: &[Node],
    dir: &Path,
    passwords: &Passwords,
) -> Network {
    let Addresses { mut table, subnet, lan, .. } = addresses;
    let interface = table.read("interface", check::interface);
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
    let wifi = wifi(table.table("wifi"), document, dir, passwords);
    let uplink = uplink(table.table("uplink"), document, wifi);
    let dhcp = dhcp(table.table("dhcp"), document, subnet, nodes);
    ["network.router", "network.addressing"].into_iter().for_each(|key| only(true, key));
    ["network.wifi", "network.uplink", "network.dhcp"].into_iter().for_each(|key| only(false, key));
    table.finish();

    Network {
        subnet,
        interface: interface.unwrap_or_else(|| defaults::INTERFACE.to_owned()),
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

fn wifi(
    mut table: Table<'_, '_>,
    document: &Document<'_>,
    dir: &Path,
    passwords: &Passwords,
) -> Option<Wifi> {
    let ssid = table.text("ssid").map(|f| f.check(|t| check::ssid(t)));
    // Without the table there is no radio network that a password could be for.
    let variable = passwords.wifi.as_ref().filter(|_| document.is_set("network.wifi"));
    let password =
        table.secret("password", "password-file", (passwords::WIFI, variable), |f| passwords::read(dir, f));
    let password = password.map(|f| f.check(|t| check::wifi_password(t)));
    let psk = table.text("psk").map(|f| f.check(|t| check::psk(t)));
    let open_flag = table.flag("open", false);
    let security = table.choose(
        "security",
        &[
            ("wpa2", Some(Security::Wpa2)),
            ("wpa3", Some(Security::Wpa3)),
            ("wpa2-wpa3", Some(Security::Wpa2OrWpa3)),
            ("open", None),
        ],
    );
    let country = table.read("country", country::country);
    let hidden = table.flag("hidden", false);
    // What seems to be missing is there, then, under a name with a slip in it.
    let misspelt = table.finish();
    if !document.is_set("network.wifi") {
        return None;
    }
    if !misspelt && !document.is_set("network.wifi.ssid") {
        document.report("network.wifi.ssid", "must be given: the name of the radio network");
    }
    let open = open_flag || security == Some(None);
    if open_flag && matches!(security, Some(Some(_))) {
        document.report("network.wifi.security", "does not go with open = true: drop one of the two");
    }
    let security = security.flatten().unwrap_or_default();
    let given: Vec<_> =
        ["password", "psk"].into_iter().filter(|k| document.is_set(&format!("network.wifi.{k}"))).collect();
    let key = match (given.as_slice(), open) {
        ([], true) => Some(WifiKey::Open),
        ([], false) if misspelt => None,
        ([], false) => {
            let message = "must be given; for a network without one, set open = true";
            document.report("network.wifi.password", message);
            None
        }
        ([_], false) => password.or(psk).flatten(),
        ([_, .., other], _) => {
            document
                .report(&format!("network.wifi.{other}"), "goes without \"password\": give one of the two");
            None
        }
        ([given], true) => {
            let message = format!("an open network has no {given}: drop one of the two");
            document.report(if open_flag { "network.wifi.open" } else { "network.wifi.security" }, message);
            None
        }
    };
    if let (Some(WifiKey::Psk(_)), [given], Security::Wpa3 | Security::Wpa2OrWpa3) =
        (&key, given.as_slice(), security)
    {
        let message = "must be the passphrase itself under \"password\": WPA3 cannot use the 64 digits that WPA2 \
                       makes of it; or set security = \"wpa2\"";
        document.report(&format!("network.wifi.{given}"), message);
    }
    Some(Wifi { ssid: ssid??, key: key?, security, country, hidden })
}

fn uplink(mut table: Table<'_, '_>, document: &Document<'_>, wifi: Option<Wifi>) -> Uplink {
    let interface = table.read("interface", check::interface);
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
    let default = if wifi.is_some() { defaults::WIFI_INTERFACE } else { defaults::UPLINK_INTERFACE };
    Uplink { interface: interface.unwrap_or_else(|| default.to_owned()), wifi, addressing, allow }
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
