//! What is secret on a card, and what hangs on it.

use crate::cluster::{Cluster, MOST_NODES, Node, Secret, WifiKey, defaults};
use crate::identity::{Identity, wifi_psk};

/// What stands in a preview where a secret stands on the card.
pub(super) const MASK: &str = "********";

/// The secrets of a cluster, in the forms that a card carries.
pub(super) struct Hidden {
    /// What this node joins with; the control plane does not.
    pub(super) token: Option<String>,
    /// What nodes may join with, each with the node that it is for: the control plane's to know.
    pub(super) bootstrap_tokens: Vec<(String, String)>,
    pub(super) ca_hash: String,
    pub(super) ca_certificate: String,
    pub(super) ca_key: String,
    /// Seconds since 1970: before that the CA's certificate is not valid yet.
    pub(super) certificates_from: i64,
    pub(super) ssh_keys: Vec<String>,
    pub(super) password_hash: Option<String>,
    pub(super) wifi_psk: Option<String>,
    /// The radio network's passphrase, of which the key above is made. Baked only where WPA3 needs it.
    pub(super) wifi_passphrase: Option<String>,
    masked: bool,
}

/// How many nodes more than there are now may join without a word to the control plane.
const SPARE_TOKENS: u16 = 16;

/// Stands for the node's name with a token of several; /usr/lib/pibake/tokens knows it.
const EVERY_NODE: &str = "every node";

/// The number and name of every node that the control plane is told a token of: the workers, and
/// those that may be added later.
fn joining(cluster: &Cluster) -> impl Iterator<Item = (u16, String)> {
    let workers = cluster.nodes.iter().filter(|node| !node.is_control_plane());
    let last = cluster.nodes.last().map_or(0, |node| node.number);
    let most = u16::try_from(MOST_NODES).unwrap_or(u16::MAX);
    let later = (last + 1..=most).take(usize::from(SPARE_TOKENS));
    let later = later.map(|number| (number, format!("{}{number}", defaults::NODE_PREFIX)));
    workers.map(|node| (node.number, node.name.clone())).chain(later)
}

fn bootstrap_tokens(cluster: &Cluster, identity: &Identity) -> Vec<(String, String)> {
    let mut tokens: Vec<(String, String)> = Vec::new();
    for (number, name) in joining(cluster) {
        let Some(token) = identity.tokens.of(number) else { continue };
        match tokens.iter_mut().find(|(_, other)| other == token.reveal()) {
            // one that an old pibake made, which must outlive the first who joins with it
            Some((name, _)) => EVERY_NODE.clone_into(name),
            None => tokens.push((name, token.reveal().to_owned())),
        }
    }
    tokens
}

impl Hidden {
    pub(super) fn of(cluster: &Cluster, identity: &Identity, node: &Node) -> Self {
        let reveal = |secret: Secret| secret.reveal().to_owned();
        let own = identity.tokens.of(node.number).filter(|_| !node.is_control_plane()).cloned();
        let of_others =
            if node.is_control_plane() { bootstrap_tokens(cluster, identity) } else { Vec::new() };
        Self {
            token: own.map(reveal),
            bootstrap_tokens: of_others,
            ca_hash: identity.ca_hash.clone(),
            ca_certificate: identity.ca_certificate.clone(),
            ca_key: identity.ca_key.reveal().to_owned(),
            certificates_from: identity.not_before,
            ssh_keys: identity.authorized_keys(&cluster.access),
            password_hash: identity.password_hash(&cluster.access).map(reveal),
            wifi_psk: cluster.network.wifi().and_then(wifi_psk).map(reveal),
            wifi_passphrase: cluster.network.wifi().and_then(|wifi| match &wifi.key {
                WifiKey::Passphrase(passphrase) => Some(passphrase.reveal().to_owned()),
                WifiKey::Psk(_) | WifiKey::Open => None,
            }),
            masked: false,
        }
    }

    /// What a cluster shows of itself before its secrets are made.
    pub(super) fn unmade(cluster: &Cluster, node: &Node) -> Self {
        let ssh_keys = match cluster.access.ssh_keys.as_slice() {
            [] => vec!["(a key that the first build makes)".to_owned()],
            keys => keys.to_vec(),
        };
        Self {
            token: (!node.is_control_plane()).then(|| MASK.to_owned()),
            bootstrap_tokens: if node.is_control_plane() {
                joining(cluster).map(|(_, name)| (name, MASK.to_owned())).collect()
            } else {
                Vec::new()
            },
            ca_hash: format!("sha256:{MASK}"),
            ca_certificate: "(a certificate that the first build makes)\n".to_owned(),
            ca_key: format!("{MASK}\n"),
            certificates_from: 0,
            ssh_keys,
            password_hash: cluster.access.password.as_ref().map(|_| MASK.to_owned()),
            wifi_psk: cluster.network.wifi().filter(|w| w.key != WifiKey::Open).map(|_| MASK.to_owned()),
            wifi_passphrase: Some(MASK.to_owned()),
            masked: true,
        }
    }

    /// The same with nothing secret in it.
    pub(super) fn masked(self) -> Self {
        let mask = || MASK.to_owned();
        Self {
            token: self.token.map(|_| mask()),
            bootstrap_tokens: self.bootstrap_tokens.into_iter().map(|(name, _)| (name, mask())).collect(),
            ca_key: format!("{MASK}\n"),
            password_hash: self.password_hash.map(|_| mask()),
            wifi_psk: self.wifi_psk.map(|_| mask()),
            wifi_passphrase: self.wifi_passphrase.map(|_| mask()),
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
