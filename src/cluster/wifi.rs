//! Radio networks, and what joins them.

use std::path::{Path, PathBuf};

use super::Secret;

/// A node's radio and the networks that it may join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Radio {
    /// The interface: `wlan0`.
    pub interface: String,
    /// The networks, one or more, each with a name of its own. The node joins the best that it finds.
    pub networks: Vec<Wifi>,
    /// Where the radio stands: ISO 3166-1 alpha-2, upper case. Decides channels and power.
    pub country: Option<String>,
}

/// A radio network and the right to join it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// Its name, 1 to 32 bytes (IEEE 802.11), UTF-8.
    pub ssid: String,
    /// What joins it. [`crate::identity::wifi_psk`] makes of it what is written on a card.
    pub key: WifiKey,
    /// What the access point asks of those that join with a password or a key; says nothing of other networks.
    pub security: Security,
    /// The access point does not announce the name.
    pub hidden: bool,
}

/// What an access point asks of those that join with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// WPA2-Personal, also where the access point offers WPA3 besides: the pre-shared key does, and
    /// the passphrase stays off the card.
    #[default]
    Wpa2,
    /// WPA3-Personal alone (SAE), which needs the passphrase itself.
    Wpa3,
    /// Either, the better one first: the passphrase is on the card where the image can use it.
    Wpa2OrWpa3,
}

/// What joins a radio network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WifiKey {
    /// A WPA passphrase: 8 to 63 printable ASCII characters, or UTF-8 of as many bytes.
    Passphrase(Secret),
    /// A WPA pre-shared key: 64 lower case hex digits.
    Psk(Secret),
    /// Nothing: the network is open.
    Open,
    /// A name and what proves it, which a RADIUS server checks (WPA2-Enterprise, 802.1X).
    Enterprise(Enterprise),
}

/// Who a node is on a network with a RADIUS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enterprise {
    /// The user's name there.
    pub identity: String,
    /// The name that is sent in clear, before there is a tunnel; `None` sends the real one.
    pub anonymous_identity: Option<String>,
    /// The certificate of the authority that signed the server's, PEM. Without it anybody could pose as the network.
    pub ca_certificate: PathBuf,
    /// What proves who the node is.
    pub method: EapMethod,
}

/// What proves to a RADIUS server who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EapMethod {
    /// A password, within a tunnel.
    Password {
        /// The tunnel.
        tunnel: Tunnel,
        /// How the password is checked within.
        inner: Inner,
        /// The password. For MSCHAPv2 its hash is on the card, otherwise it is there itself.
        password: Secret,
    },
    /// A certificate (EAP-TLS).
    Certificate {
        /// The certificate, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
        /// What the key is encrypted with.
        key_password: Option<Secret>,
    },
}

/// The tunnel that a password goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// PEAP.
    Peap,
    /// EAP-TTLS.
    Ttls,
}

/// How a password is checked within a tunnel (wpa_supplicant's `phase2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// MSCHAPv2.
    Mschapv2,
    /// PAP, which EAP-TTLS alone has.
    Pap,
    /// Generic token card, for one-time passwords and some directories.
    Gtc,
}

impl Inner {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mschapv2, Self::Pap, Self::Gtc];

    /// As pibake.toml names it; in capitals wpa_supplicant does.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mschapv2 => "mschapv2",
            Self::Pap => "pap",
            Self::Gtc => "gtc",
        }
    }
}

impl Enterprise {
    /// As pibake.toml and netplan name the method.
    #[must_use]
    pub const fn method_name(&self) -> &'static str {
        match self.method {
            EapMethod::Password { tunnel: Tunnel::Peap, .. } => "peap",
            EapMethod::Password { tunnel: Tunnel::Ttls, .. } => "ttls",
            EapMethod::Certificate { .. } => "tls",
        }
    }
}

impl Radio {
    /// The files with private keys that networks are joined with.
    pub fn private_keys(&self) -> impl Iterator<Item = &Path> {
        self.networks.iter().filter_map(|wifi| match &wifi.key {
            WifiKey::Enterprise(Enterprise { method: EapMethod::Certificate { key, .. }, .. }) => {
                Some(key.as_path())
            }
            _ => None,
        })
    }
}

impl Wifi {
    /// Whether it is joined with a passphrase or the key that one makes, and nothing else.
    #[must_use]
    pub const fn is_personal(&self) -> bool {
        matches!(self.key, WifiKey::Passphrase(_) | WifiKey::Psk(_))
    }
}
