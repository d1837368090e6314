//! What a node is on a network by: a port, several of them as one, or a radio.

use std::borrow::Cow;

use super::wifi::Radio;

/// What the bond of a description is called on the nodes.
const BOND: &str = "bond0";

/// What a node is on a network by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The hardware.
    pub medium: Medium,
    /// The number of the VLAN that the network is there, 1 to 4094 (IEEE 802.1Q); `None` where its frames carry no tag.
    pub vlan: Option<u16>,
}

/// The hardware that carries a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// An Ethernet port, by its name: `eth0`.
    Ethernet(String),
    /// Several Ethernet ports as one.
    Bond(Bond),
    /// A radio.
    Wifi(Radio),
}

/// Several Ethernet ports as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// The ports by their names, two or more.
    pub ports: Vec<String>,
    /// How they share the frames.
    pub mode: BondMode,
}

/// How the ports of a bond share the frames, by the names of the kernel's Documentation/networking/bonding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BondMode {
    /// One port does all, another takes its place when its link is down. Asks nothing of the switch.
    #[default]
    ActiveBackup,
    /// All ports, agreed with the switch by LACP.
    Lacp,
    /// All ports, grouped on the switch by hand.
    BalanceXor,
    /// All ports, and nothing is asked of the switch.
    BalanceAlb,
}

impl BondMode {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::ActiveBackup, Self::Lacp, Self::BalanceXor, Self::BalanceAlb];

    /// The mode as the kernel, netplan and pibake.toml name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveBackup => "active-backup",
            Self::Lacp => "802.3ad",
            Self::BalanceXor => "balance-xor",
            Self::BalanceAlb => "balance-alb",
        }
    }
}

impl Link {
    /// An Ethernet port with nothing else to it.
    #[must_use]
    pub fn ethernet(port: &str) -> Self {
        Self { medium: Medium::Ethernet(port.to_owned()), vlan: None }
    }

    /// The interface that has the addresses: `eth0`, `wlan0`, `bond0`, `vlan10`.
    #[must_use]
    pub fn interface(&self) -> Cow<'_, str> {
        match self.vlan {
            Some(number) => Cow::Owned(format!("vlan{number}")),
            None => Cow::Borrowed(self.medium.interface()),
        }
    }

    /// Its radio, where it is one.
    #[must_use]
    pub fn radio(&self) -> Option<&Radio> {
        match &self.medium {
            Medium::Wifi(radio) => Some(radio),
            Medium::Ethernet(_) | Medium::Bond(_) => None,
        }
    }

    /// As somebody is told of it: `eth0`, `bond0 (eth0, eth1)`, `VLAN 10 of eth0`.
    #[must_use]
    pub fn title(&self) -> String {
        let medium = match &self.medium {
            Medium::Bond(bond) => format!("{BOND} ({})", bond.ports.join(", ")),
            Medium::Ethernet(_) | Medium::Wifi(_) => self.medium.interface().to_owned(),
        };
        self.vlan.map_or_else(|| medium.clone(), |number| format!("VLAN {number} of {medium}"))
    }
}

impl Medium {
    /// The interface that the kernel has for it.
    #[must_use]
    pub fn interface(&self) -> &str {
        match self {
            Self::Ethernet(port) => port,
            Self::Bond(_) => BOND,
            Self::Wifi(radio) => &radio.interface,
        }
    }

    /// The interfaces that are hardware, by their names.
    #[must_use]
    pub fn hardware(&self) -> &[String] {
        match self {
            Self::Ethernet(port) => std::slice::from_ref(port),
            Self::Bond(bond) => &bond.ports,
            Self::Wifi(radio) => std::slice::from_ref(&radio.interface),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_with_the_addresses_is_the_last_that_is_put_on_top() {
        let bond = Medium::Bond(Bond { ports: vec!["eth0".into(), "eth1".into()], mode: BondMode::Lacp });
        for (link, interface, title) in [
            (Link::ethernet("end0"), "end0", "end0"),
            (Link { vlan: Some(7), ..Link::ethernet("eth0") }, "vlan7", "VLAN 7 of eth0"),
            (Link { medium: bond.clone(), vlan: None }, "bond0", "bond0 (eth0, eth1)"),
            (Link { medium: bond, vlan: Some(4094) }, "vlan4094", "VLAN 4094 of bond0 (eth0, eth1)"),
        ] {
            assert_eq!((&*link.interface(), link.title().as_str()), (interface, title));
        }
    }
}
