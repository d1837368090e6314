//! What netplan is told of radio networks.

use serde::Serialize;

use super::inputs::Inputs;
use super::secrets::reveal_some;
use super::wifi_files::{Kind, place};
use super::wifi_secrets::WifiSecrets;
use crate::cluster::{EapMethod, Enterprise, Secret, Security, Wifi, WifiKey};

/// A network, as netplan is told of it.
#[derive(Debug, Serialize)]
pub(super) struct AccessPoint {
    ssid: String,
    hidden: bool,
    auth: Option<Auth>,
    /// The passphrase alone, where netplan is to offer all that it knows.
    #[serde(serialize_with = "reveal_some")]
    password: Option<Secret>,
}

/// netplan's `auth`.
#[derive(Debug, Serialize)]
struct Auth {
    /// netplan's word for how the key is used.
    key_management: &'static str,
    method: Option<&'static str>,
    identity: Option<String>,
    anonymous_identity: Option<String>,
    phase2: Option<String>,
    ca_certificate: Option<String>,
    client_certificate: Option<String>,
    client_key: Option<String>,
    /// Of the private key.
    #[serde(serialize_with = "reveal_some")]
    client_key_password: Option<Secret>,
    /// 64 hex digits, the passphrase, or the user's password.
    #[serde(serialize_with = "reveal_some")]
    password: Option<Secret>,
}

/// Of each of the node's radio networks.
pub(super) fn access_points(from: &Inputs<'_>) -> Vec<AccessPoint> {
    let Some(radio) = from.cluster.radio_of(from.node) else { return Vec::new() };
    let networks = radio.networks.iter().zip(&from.secrets.wifi).zip(1..);
    networks.map(|((wifi, secrets), number)| access_point(from, wifi, secrets, number)).collect()
}

fn access_point(from: &Inputs<'_>, wifi: &Wifi, secrets: &WifiSecrets, number: usize) -> AccessPoint {
    // What a newer netplan writes, wpa_supplicant decodes: `\\` is one backslash then.
    let ssid = if from.platform.netplan_1 { wifi.ssid.replace('\\', "\\\\") } else { wifi.ssid.clone() };
    let personal = |key_management, password: &Option<Secret>| Auth {
        password: password.clone(),
        ..Auth::new(key_management)
    };
    let (auth, password) = match (&wifi.key, wifi.security) {
        (WifiKey::Open, _) => (None, None),
        (WifiKey::Enterprise(enterprise), _) => (Some(enterprise_auth(enterprise, secrets, number)), None),
        (_, Security::Wpa3) => (Some(personal("sae", &secrets.passphrase)), None),
        // Without a kind of key, newer ones offer WPA2 and WPA3.
        (_, Security::Wpa2OrWpa3) if wifi.needs_passphrase(from.platform) => {
            (None, secrets.passphrase.clone())
        }
        // And that would be wrong here: of these digits WPA3 can make nothing.
        (_, Security::Wpa2 | Security::Wpa2OrWpa3) => (Some(personal("psk", &secrets.psk)), None),
    };
    AccessPoint { ssid, hidden: wifi.hidden, auth, password }
}

fn enterprise_auth(enterprise: &Enterprise, secrets: &WifiSecrets, number: usize) -> Auth {
    let mut auth = Auth {
        method: Some(enterprise.method_name()),
        identity: Some(enterprise.identity.clone()),
        anonymous_identity: enterprise.anonymous_identity.clone(),
        ca_certificate: Some(place(number, Kind::Authority)),
        ..Auth::new("eap")
    };
    match &enterprise.method {
        EapMethod::Password { inner, .. } => {
            auth.phase2 = Some(inner.as_str().to_uppercase());
            auth.password.clone_from(&secrets.passphrase);
        }
        EapMethod::Certificate { .. } => {
            auth.client_certificate = Some(place(number, Kind::Certificate));
            auth.client_key = Some(place(number, Kind::Key));
            auth.client_key_password.clone_from(&secrets.key_password);
        }
    }
    auth
}

impl Auth {
    const fn new(key_management: &'static str) -> Self {
        Self {
            key_management,
            method: None,
            identity: None,
            anonymous_identity: None,
            phase2: None,
            ca_certificate: None,
            client_certificate: None,
            client_key: None,
            client_key_password: None,
            password: None,
        }
    }
}
