//! Who has which address.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Cluster, NodeName, defaults};

/// The first and last address of a network that a machine may have; `None` where there are fewer
/// than two of them (a /31 or /32 has no broadcast address, which dhcpd and flannel count on).
pub(super) fn host_range(subnet: Ipv4Net) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (network, broadcast) = (subnet.network().to_bits(), subnet.broadcast().to_bits());
    (subnet.prefix_len() <= 30)
        .then(|| (Ipv4Addr::from_bits(network + 1), Ipv4Addr::from_bits(broadcast - 1)))
}

/// How many machines fit in a network.
pub(super) fn capacity(subnet: Ipv4Net) -> u32 {
    host_range(subnet).map_or(0, |(first, last)| last.to_bits() - first.to_bits() + 1)
}

/// Where machines that are no nodes get their addresses from, where the user says nothing: the
/// top of the network, so that nodes can be added below without moving anyone.
pub(super) fn default_pool(subnet: Ipv4Net) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (_, last) = host_range(subnet)?;
    let size = defaults::POOL_SIZE.min(capacity(subnet) / 4);
    (size > 0).then(|| (Ipv4Addr::from_bits(last.to_bits() - size + 1), last))
}

/// A range without some addresses: what is left of it, in ascending order.
pub(super) fn subtract(
    (first, last): (Ipv4Addr, Ipv4Addr),
    taken: impl Iterator<Item = Ipv4Addr>,
) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let (mut next, last) = (u64::from(first.to_bits()), u64::from(last.to_bits()));
    let mut taken: Vec<_> =
        taken.map(|a| u64::from(a.to_bits())).filter(|a| (next..=last).contains(a)).collect();
    taken.sort_unstable();
    let mut left = Vec::new();
    // The range's end stands for one more taken address, right after it.
    for address in taken.into_iter().chain([last + 1]) {
        if next < address {
            left.push((to_address(next), to_address(address - 1)));
        }
        next = next.max(address + 1);
    }
    left
}

fn to_address(bits: u64) -> Ipv4Addr {
    u32::try_from(bits).map_or(Ipv4Addr::BROADCAST, Ipv4Addr::from_bits)
}

/// How many nodes a cluster may have in all: the addresses that are promised, and what the
/// reservations for nodes to come are counted up to.
pub(crate) const MAX_NODES: u16 = 250;

impl Cluster {
    /// Names and addresses of nodes that may be added later, as they will have them. A DHCP
    /// server that keeps these free lets a card baked next year join without a new card for the
    /// control plane.
    #[must_use]
    pub fn future_nodes(&self) -> Vec<(NodeName, Ipv4Addr)> {
        let Some(last) = self.nodes.last() else { return Vec::new() };
        let pool = self.network.gateway().map_or(&[][..], |g| &g.dhcp.pool);
        let free = |address: Ipv4Addr| {
            self.network.subnet.contains(&address)
                && address != self.network.subnet.broadcast()
                && !pool.iter().any(|(from, to)| (*from..=*to).contains(&address))
                && !self.nodes.iter().any(|n| n.address == address)
        };
        (last.number + 1..=MAX_NODES)
            .map_while(|number| {
                let after = u32::from(number - last.number);
                let address = last.address.to_bits().checked_add(after).map(Ipv4Addr::from_bits)?;
                let name = NodeName::numbered(number);
                let fresh = !self.nodes.iter().any(|n| n.name == name);
                (fresh && free(address)).then_some((name, address))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_leaves_out_what_is_taken() {
        let left = |taken: &[&str]| {
            subtract((ip("10.0.0.1"), ip("10.0.0.10")), taken.iter().map(|t| ip(t)))
                .iter()
                .map(|(a, b)| format!("{}-{}", a.octets()[3], b.octets()[3]))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(left(&[]), "1-10");
        assert_eq!(left(&["10.0.0.1", "10.0.0.2"]), "3-10");
        assert_eq!(left(&["10.0.0.5", "10.0.0.10", "10.0.0.5", "10.0.1.7"]), "1-4 6-9");
        let all: Vec<String> = (1..=10).map(|n| format!("10.0.0.{n}")).collect();
        assert_eq!(left(&all.iter().map(String::as_str).collect::<Vec<_>>()), "");
        let top =
            subtract((ip("255.255.255.250"), ip("255.255.255.255")), [ip("255.255.255.255")].into_iter());
        assert_eq!(top, [(ip("255.255.255.250"), ip("255.255.255.254"))]);
    }

    #[test]
    fn networks_have_hosts_and_a_pool_at_the_top() {
        let range = |net: &str| host_range(net.parse().unwrap());
        assert_eq!(range("10.0.0.0/24"), Some((ip("10.0.0.1"), ip("10.0.0.254"))));
        assert_eq!(range("10.0.0.0/31"), None);
        let pool = |net: &str| default_pool(net.parse().unwrap());
        assert_eq!(pool("10.0.0.0/24"), Some((ip("10.0.0.205"), ip("10.0.0.254"))));
        assert_eq!(pool("10.0.0.8/29"), Some((ip("10.0.0.14"), ip("10.0.0.14"))));
        assert_eq!(pool("10.0.0.0/30"), None);
        assert_eq!(capacity("0.0.0.0/0".parse().unwrap()), u32::MAX - 1);
    }
}
