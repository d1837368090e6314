//! What the system on a card can do with a radio network.

use super::platform::{PLATFORMS, Platform};
use super::problem::Problem;
use super::{Cluster, Security, WifiKey};

impl Cluster {
    /// Whether the passphrase of the radio network has to be on the card, in a file that only root
    /// can read: for WPA3, and only where the image can do it.
    pub(crate) fn needs_passphrase(&self, platform: &Platform) -> bool {
        self.network.wifi().is_some_and(|wifi| {
            wifi.security != Security::Wpa2 && wifi.key != WifiKey::Open && platform.netplan_1
        })
    }

    /// Why the nodes could not join the radio network with this system.
    pub(super) fn radio_fault(&self, platform: &Platform) -> Option<Problem> {
        let wifi = self.network.wifi()?;
        if wifi.security != Security::Wpa3 || wifi.key == WifiKey::Open || platform.netplan_1 {
            return None;
        }
        let able: Vec<_> = PLATFORMS.iter().filter(|p| p.netplan_1).map(|p| p.name).collect();
        let message = format!(
            "netplan of {} does not know WPA3: take a base image of {}, or have the access point offer WPA2 \
             as well and set security = \"wpa2\"",
            platform.name,
            able.join(" or ")
        );
        Some(self.origins.problem("network.wifi.security", message))
    }
}
