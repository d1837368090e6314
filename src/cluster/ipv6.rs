//! The IPv6 side of a dual-stack cluster: its networks, and what one of them may be.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The IPv6 networks of a cluster, beside those of IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6 {
    /// The network that the nodes' addresses lie in, a /64.
    pub subnet: Ipv6Net,
    /// The network of the pods; every node gets a /64 of it.
    pub pods: Ipv6Net,
    /// The network of the services.
    pub services: Ipv6Net,
    /// The nodes' default route in lan mode, where they have one.
    pub router: Option<Ipv6Addr>,
}

/// The prefix length of the nodes' network: what a link has (RFC 4291, 2.5.1), and what others that announce or
/// take addresses there count on.
pub(super) const LINK_PREFIX: u8 = 64;

/// What a site has: the prefix length that RFC 4193 gives to whoever draws a prefix.
const SITE_PREFIX: u8 = 48;

/// Where within a site the pods' network is, and how long its prefix: 256 times a /64, for 250 nodes.
const PODS: (u16, u8) = (0x100, 56);

/// The same of the services' network; the API server takes no larger one.
const SERVICES: (u16, u8) = (0xfffe, 108);

impl Ipv6 {
    /// The address of a node that has `address` in `subnet`: it ends in the same digits, 10.0.0.21 in `fd…::21`. So it
    /// is nobody else's where nobody else's ends like the node's IPv4 address.
    #[must_use]
    pub fn address_beside(&self, address: Ipv4Addr, subnet: Ipv4Net) -> Ipv6Addr {
        let host = address.to_bits() & subnet.hostmask().to_bits();
        let digits = host.to_string().bytes().fold(0, |all, digit| all << 4 | u128::from(digit - b'0'));
        Ipv6Addr::from_bits(self.subnet.network().to_bits() | digits)
    }
}

/// Whether a prefix is of the kind that whoever needs one draws (RFC 4193).
fn is_unique_local(net: Ipv6Net) -> bool {
    UNIQUE_LOCAL.contains(&net)
}

/// The network of the pods and that of the services, within the site that the nodes' unique local network is of; none
/// where it is another kind of network, of which nobody can tell what else is the user's.
pub(super) fn siblings(subnet: Ipv6Net) -> Option<(Ipv6Net, Ipv6Net)> {
    if !is_unique_local(subnet) {
        return None;
    }
    let site = Ipv6Net::new(subnet.network(), SITE_PREFIX).ok()?.network().to_bits();
    let of = |(number, prefix): (u16, u8)| {
        Ipv6Net::new(Ipv6Addr::from_bits(site | u128::from(number) << (128 - LINK_PREFIX)), prefix).ok()
    };
    Some((of(PODS)?, of(SERVICES)?))
}

/// A network of the cluster's.
pub(super) fn network(text: &str) -> Result<Ipv6Net, String> {
    let form = || {
        // A word in its place asks for one that a router tells of.
        let is_word = text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
        let hint = if is_word {
            "; what a router delegates or announces cannot be it: it changes, and nodes keep their addresses"
        } else {
            ""
        };
        format!("must be an IPv6 network, such as fd12:3456:789a::/64{hint}")
    };
    let network: Ipv6Net = text.parse().map_err(|_| form())?;
    if network.trunc() != network {
        return Err(format!("must be a network, not an address in one; perhaps {}", network.trunc()));
    }
    if let Some((_, what)) = UNUSABLE.iter().find(|(net, _)| net.contains(&network) || network.contains(net))
    {
        return Err(format!("{network} holds {what}: {INSTEAD}"));
    }
    if !is_unique_local(network) && !GLOBAL.contains(&network) {
        return Err(format!("{network} is no network that addresses are given out of: {INSTEAD}"));
    }
    Ok(network)
}

const INSTEAD: &str = "take a unique local one, fd and ten random hex digits (RFC 4193), as pibake init draws it, or one \
                       that your provider gave you for good";

/// A router's address on the nodes' network.
pub(super) fn router(text: &str) -> Result<Ipv6Addr, String> {
    let form = || "must be an IPv6 address, such as fe80::1, without an interface behind it".to_owned();
    let address: Ipv6Addr = text.parse().map_err(|_| form())?;
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Err(
            "must be the address of a machine: a router's link-local one, or one in the subnet".to_owned()
        );
    }
    Ok(address)
}

/// The network with this address and prefix length; one that cannot be does not compile.
const fn net(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// Unique local addresses that whoever needs one draws: RFC 4193, 3.1. The other half of fc00::/7 is undefined.
const UNIQUE_LOCAL: Ipv6Net = net([0xfd00, 0, 0, 0, 0, 0, 0, 0], 8);

/// What registries give out (RFC 4291, 2.4; IANA's "IPv6 Global Unicast Address Assignments").
const GLOBAL: Ipv6Net = net([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Networks that no machine of a cluster can be in, by IANA's registry of special-purpose addresses (RFC 6890).
const UNUSABLE: [(Ipv6Net, &str); 12] = [
    (net([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4 addresses that are written as IPv6 ones"),
    (net([0, 0, 0, 0, 0, 0, 0, 0], 96), "the loopback address"),
    (net([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 32), "addresses that translators to IPv4 use"),
    (net([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "addresses that are discarded"),
    (net([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "addresses of protocols, such as Teredo's"),
    (net([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "addresses for documentation"),
    (net([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "addresses for documentation"),
    (net([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "addresses of 6to4"),
    (net([0xfc00, 0, 0, 0, 0, 0, 0, 0], 8), "addresses that are not defined yet"),
    (net([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local addresses, which are not routed"),
    (net([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local addresses, which are not used any more"),
    (net([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast addresses"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subnet: &str) -> Ipv6 {
        let subnet: Ipv6Net = subnet.parse().unwrap();
        let (pods, services) = siblings(subnet).unwrap();
        Ipv6 { subnet, pods, services, router: None }
    }

    #[test]
    fn addresses_end_in_the_same_digits() {
        let beside = |address: &str, subnet: &str| {
            let address =
                of("fd12:3456:789a:7::/64").address_beside(address.parse().unwrap(), subnet.parse().unwrap());
            address.to_string()
        };
        assert_eq!(beside("10.0.0.1", "10.0.0.0/24"), "fd12:3456:789a:7::1");
        assert_eq!(beside("192.168.1.250", "192.168.1.0/24"), "fd12:3456:789a:7::250");
        assert_eq!(beside("172.20.9.2", "172.20.8.0/22"), "fd12:3456:789a:7::258");
        assert_eq!(beside("127.255.255.254", "0.0.0.0/1"), "fd12:3456:789a:7:0:21:4748:3646");
    }

    #[test]
    fn the_other_networks_are_of_the_same_site() {
        let Ipv6 { pods, services, .. } = of("fd12:3456:789a:7::/64");
        assert_eq!(pods.to_string(), "fd12:3456:789a:100::/56");
        assert_eq!(services.to_string(), "fd12:3456:789a:fffe::/108");
        assert_eq!(siblings("2a02:8388:1::/64".parse().unwrap()), None);
    }

    #[test]
    fn only_what_machines_can_have_is_taken() {
        for good in ["fd12:3456:789a::/64", "2a02:8388:1:2::/64", "FD12:3456:789A::/48", "2001:4860::/64"] {
            assert_eq!(network(good).map(|net| net.to_string()), Ok(good.to_lowercase()));
        }
        for (bad, why) in [
            ("10.0.0.0/24", "must be an IPv6 network"),
            ("fd12:3456:789a::", "must be an IPv6 network"),
            ("fdXX:XXXX:XXXX::/64", "must be an IPv6 network"),
            ("fd12:3456:789a::1/64", "perhaps fd12:3456:789a::/64"),
            ("::ffff:10.0.0.0/120", "IPv4 addresses that are written"),
            ("::/64", "IPv4 addresses that are written"),
            ("::/96", "the loopback"),
            ("2000::/3", "Teredo"),
            ("2001:db8:1::/64", "documentation"),
            ("3fff:1::/64", "documentation"),
            ("fe80::/64", "link-local"),
            ("fc00::/7", "not defined"),
            ("fc12::/64", "not defined"),
            ("ff05::/64", "multicast"),
            ("64:ff9b:1::/64", "translators"),
            ("4000::/64", "no network that addresses are given out of"),
        ] {
            let told = network(bad).unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
        }
        assert!(router("fe80::1").is_ok() && router("fd12::1").is_ok());
        for bad in ["192.168.1.1", "fe80::1%eth0", "::", "::1", "ff02::2"] {
            assert!(router(bad).is_err(), "{bad}");
        }
    }
}
