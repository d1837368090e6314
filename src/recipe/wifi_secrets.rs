//! The secrets of radio networks.

use crate::cluster::{Cluster, EapMethod, Inner, Secret, Wifi, WifiKey};
use crate::identity::{nt_hash, wifi_psk};

/// What joins one radio network, in the forms that a card has.
#[derive(Clone)]
pub(super) struct WifiSecrets {
    /// 64 hex digits.
    pub(super) psk: Option<Secret>,
    /// The passphrase, of which the key above is made; or a user's password, or its hash where that does.
    pub(super) passphrase: Option<Secret>,
    /// What the private key of a user's certificate is encrypted with.
    pub(super) key_password: Option<Secret>,
}

impl WifiSecrets {
    /// Of each of the networks, in their order.
    pub(super) fn of(cluster: &Cluster) -> Vec<Self> {
        let networks = cluster.network.radio().map_or(&[][..], |radio| &radio.networks);
        let secrets = |wifi: &Wifi| {
            let (passphrase, key_password) = match &wifi.key {
                WifiKey::Passphrase(passphrase) => (Some(passphrase.clone()), None),
                WifiKey::Psk(_) | WifiKey::Open => (None, None),
                WifiKey::Enterprise(enterprise) => match &enterprise.method {
                    // netplan hands what begins so on as a hash
                    EapMethod::Password { inner: Inner::Mschapv2, password, .. } => {
                        (Some(Secret::new(format!("hash:{}", nt_hash(password).reveal()))), None)
                    }
                    EapMethod::Password { inner: Inner::Pap | Inner::Gtc, password, .. } => {
                        (Some(password.clone()), None)
                    }
                    EapMethod::Certificate { key_password, .. } => (None, key_password.clone()),
                },
            };
            Self { psk: wifi_psk(wifi), passphrase, key_password }
        };
        networks.iter().map(secrets).collect()
    }

    /// The same with what `change` makes of each secret.
    pub(super) fn map(&self, change: impl Fn(&Secret) -> Secret) -> Self {
        let change = |secret: &Option<Secret>| secret.as_ref().map(&change);
        Self {
            psk: change(&self.psk),
            passphrase: change(&self.passphrase),
            key_password: change(&self.key_password),
        }
    }
}
