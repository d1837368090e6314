//! What the system on a card and the board that it is in can do with radio networks.

use super::platform::{PLATFORMS, Platform};
use super::problem::Problem;
use super::warning::Warning;
use super::{Cluster, Node, Radio, Security, Wifi};

impl Wifi {
    /// Whether its passphrase has to be on the card, in a file that only root can read: for WPA3, and only where the
    /// image can do it.
    pub(crate) fn needs_passphrase(&self, platform: &Platform) -> bool {
        self.is_personal() && self.security != Security::Wpa2 && platform.netplan_1
    }
}

/// The table of a description that the network with this place in [`Radio::networks`](super::Radio) is read from.
pub(super) fn table_of(place: usize) -> String {
    match place {
        0 => "network.wifi".to_owned(),
        place => format!("network.wifi.also[{place}]"),
    }
}

impl Cluster {
    /// The radio of this node, where it has one.
    #[must_use]
    pub fn radio_of(&self, node: &Node) -> Option<&Radio> {
        self.network.radio().filter(|_| self.network.gateway().is_none() || node.is_control_plane())
    }

    /// Why the nodes could not join one of the radio networks with this system.
    pub(super) fn radio_fault(&self, platform: &Platform) -> Option<Problem> {
        let networks = &self.network.radio()?.networks;
        let is_unable =
            |wifi: &Wifi| wifi.is_personal() && wifi.security == Security::Wpa3 && !platform.netplan_1;
        let place = networks.iter().position(is_unable)?;
        let able: Vec<_> = PLATFORMS.iter().filter(|p| p.netplan_1).map(|p| p.name).collect();
        let message = format!(
            "netplan of {} does not know WPA3: take a base image of {}, or have the access point offer WPA2 \
             as well and set security = \"wpa2\"",
            platform.name,
            able.join(" or ")
        );
        Some(self.origins.problem(&format!("{}.security", table_of(place)), message))
    }

    /// The nodes that are to use a radio on a board that is sold without one, too.
    pub(super) fn uncertain_radios(&self) -> Option<Warning> {
        let is_uncertain = |board: crate::boards::Board| !board.always_has_wifi();
        let nodes = self.nodes.iter().filter(|node| self.radio_of(node).is_some());
        let nodes: Vec<_> = nodes
            .filter_map(|node| {
                let board = node.board.filter(|board| is_uncertain(*board))?;
                Some((node.name.to_string(), board))
            })
            .collect();
        (!nodes.is_empty()).then_some(Warning::PerhapsNoRadio { nodes })
    }
}
