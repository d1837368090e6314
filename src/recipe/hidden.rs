//! What is secret on a card, and what hangs on it.

use crate::cluster::{Cluster, Secret, WifiKey};
use crate::identity::{Identity, wifi_psk};

/// What stands in a preview where a secret stands on the card.
pub(super) const MASK: &str = "********";

/// The secrets of a cluster, in the forms that a card carries.
pub(super) struct Hidden {
    pub(super) token: String,
    pub(super) ca_hash: String,
    pub(super) ca_certificate: String,
    pub(super) ca_key: String,
    /// Seconds since 1970: before that the CA's certificate is not valid yet.
    pub(super) certificates_from: i64,
    pub(super) ssh_keys: Vec<String>,
    pub(super) password_hash: Option<String>,
    pub(super) wifi_psk: Option<String>,
    masked: bool,
}

impl Hidden {
    pub(super) fn of(cluster: &Cluster, identity: &Identity) -> Self {
        let reveal = |secret: Secret| secret.reveal().to_owned();
        Self {
            token: identity.token.reveal().to_owned(),
            ca_hash: identity.ca_hash.clone(),
            ca_certificate: identity.ca_certificate.clone(),
            ca_key: identity.ca_key.reveal().to_owned(),
            certificates_from: identity.not_before,
            ssh_keys: identity.authorized_keys(&cluster.access),
            password_hash: identity.password_hash(&cluster.access).map(reveal),
            wifi_psk: cluster.network.wifi().and_then(wifi_psk).map(reveal),
            masked: false,
        }
    }

    /// What a cluster shows of itself before its secrets are made.
    pub(super) fn unmade(cluster: &Cluster) -> Self {
        let ssh_keys = match cluster.access.ssh_keys.as_slice() {
            [] => vec!["(a key that the first build makes)".to_owned()],
            keys => keys.to_vec(),
        };
        Self {
            token: MASK.to_owned(),
            ca_hash: format!("sha256:{MASK}"),
            ca_certificate: "(a certificate that the first build makes)\n".to_owned(),
            ca_key: format!("{MASK}\n"),
            certificates_from: 0,
            ssh_keys,
            password_hash: cluster.access.password.as_ref().map(|_| MASK.to_owned()),
            wifi_psk: cluster.network.wifi().filter(|w| w.key != WifiKey::Open).map(|_| MASK.to_owned()),
            masked: true,
        }
    }

    /// The same with nothing secret in it.
    pub(super) fn masked(self) -> Self {
        let mask = || MASK.to_owned();
        Self {
            token: mask(),
            ca_key: format!("{MASK}\n"),
            password_hash: self.password_hash.map(|_| mask()),
            wifi_psk: self.wifi_psk.map(|_| mask()),
            masked: true,
            ..self
        }
    }

    /// A URL, in a preview without the name and password that it may hold.
    pub(super) fn url(&self, url: &str) -> String {
        match (url.split_once("://"), url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) if self.masked => format!("{scheme}://{MASK}@{host}"),
            _ => url.to_owned(),
        }
    }

    /// Whether nothing that is made from this needs to be hidden.
    pub(super) const fn is_masked(&self) -> bool {
        self.masked
    }
}
