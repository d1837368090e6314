//! One machine of the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::NodeName;
use crate::boards::{Board, BootFrom};

/// One machine of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its place in the cluster, from 1; what `--node 3` means.
    pub number: u16,
    /// Its host name.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Its hardware, where the user said; else any that the base image starts.
    pub board: Option<Board>,
    /// What it starts from, where the user said; else a card.
    pub boot_from: Option<BootFrom>,
    /// Its address on the cluster's network.
    pub address: Ipv4Addr,
    /// Its IPv6 address there, where the cluster is dual-stack.
    pub ipv6: Option<Ipv6Addr>,
    /// Hardware address of its Ethernet port, where the user gave it.
    pub mac: Option<MacAddress>,
    /// Kubernetes labels that its kubelet registers it with.
    pub labels: BTreeMap<String, String>,
}

impl Node {
    /// Whether it runs the control plane.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.role == Role::ControlPlane
    }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs etcd, the API server, the scheduler and the controllers.
    ControlPlane,
    /// Runs the users' pods.
    Worker,
}

impl Role {
    /// The role as pibake.toml, overlays and tables name it: `control-plane`, `worker`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An Ethernet hardware address of one card (EUI-48). Displayed as `dc:a6:32:01:02:03`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = &'static str;

    /// Takes `:` or `-` between the pairs, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be six pairs of hex digits, such as dc:a6:32:01:02:03";
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut pairs = text.split(separator);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = pair.and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or(FORM)?;
        }
        if pairs.next().is_some() {
            return Err(FORM);
        }
        // IEEE 802: the lowest bit of the first byte marks a group address.
        if bytes == [0; 6] || bytes[0] & 1 == 1 {
            return Err("must be the address of one card: not zero, not a multicast or broadcast address");
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_read_in_either_notation_and_shown_in_one() {
        for text in ["dc:a6:32:01:02:0f", "DC-A6-32-01-02-0F"] {
            assert_eq!(text.parse::<MacAddress>().map(|m| m.to_string()), Ok("dc:a6:32:01:02:0f".into()));
        }
    }

    #[test]
    fn what_is_no_card_is_no_mac() {
        let form = "must be six pairs of hex digits, such as dc:a6:32:01:02:03";
        let several = "must be the address of one card: not zero, not a multicast or broadcast address";
        for text in [
            "",
            "dc:a6:32:01:02",
            "dc:a6:32:01:02:03:04",
            "dc:a6:32:01:02:0g",
            "dca632010203",
            "+c:a6:32:1:2:3",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(form), "{text}");
        }
        for text in ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"] {
            assert_eq!(text.parse::<MacAddress>(), Err(several), "{text}");
        }
    }
}
