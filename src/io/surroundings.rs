//! The networks that this machine is in, which are mostly those that the nodes will be in, too.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The kernel's IPv4 routes, one a line after a line of headings (proc(5)).
const ROUTES: &str = "/proc/net/route";

/// A network that this machine sends to, and by which interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surrounding {
    /// The network.
    pub network: Ipv4Net,
    /// `wlan0`
    pub interface: String,
    /// Whether it is reached over a router.
    pub routed: bool,
}

/// All of them but the default route and what leads nowhere else. Only Linux is asked: elsewhere
/// none is known, and nothing is said.
#[must_use]
pub fn surroundings() -> Vec<Surrounding> {
    std::fs::read_to_string(ROUTES).map(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> Vec<Surrounding> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, router, .., mask, _, _, _] = fields.as_slice() else { return None };
        let network = Ipv4Net::with_netmask(address(destination)?, address(mask)?).ok()?;
        let known =
            network.prefix_len() > 0 && !network.addr().is_loopback() && !network.addr().is_link_local();
        known.then(|| Surrounding {
            network,
            interface: (*interface).to_owned(),
            routed: address(router).is_some_and(|router| !router.is_unspecified()),
        })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// Eight hex digits: the number as it lies in memory, first byte first.
fn address(text: &str) -> Option<Ipv4Addr> {
    u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    wlan0\t00000000\t0100000A\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                    wlan0\t0000000A\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\n\
                    wlan0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0\n\
                    tun0\t0000600A\t0100080A\t0003\t0\t0\t0\t0000F0FF\t0\t0\t0\n\
                    broken\n";
        let found = parse(text);
        let of = |network: &str, interface: &str, routed| Surrounding {
            network: network.parse().unwrap(),
            interface: interface.to_owned(),
            routed,
        };
        if cfg!(target_endian = "little") {
            assert_eq!(found, [of("10.0.0.0/24", "wlan0", false), of("10.96.0.0/12", "tun0", true)]);
        }
    }
}
