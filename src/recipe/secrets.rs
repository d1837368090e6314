//! What is secret on a card, and what hangs on it.

use serde::Serializer;

use super::secret_scanner::SecretScanner;
use super::wifi_secrets::WifiSecrets;
use crate::cluster::{Cluster, MAX_NODES, Node, NodeName, Password, ProxyUrl, Secret};
use crate::identity::{self, HostKeys, Identity, SshKeyPair};

/// What stands in a preview where a secret stands on the card.
pub(super) const MASK: &str = "********";

/// What is rendered for a preview in the place of every secret, and becomes [`MASK`] after: unlike
/// that it is text that every template can print, as the secrets are.
const PLACEHOLDER: &str = "xxMASKEDxx";

/// The secrets that templates can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    Token,
    PasswordHash,
    WifiKey,
    Proxy,
}

impl Variable {
    pub(super) const ALL: [Self; 4] = [Self::Token, Self::PasswordHash, Self::WifiKey, Self::Proxy];

    /// By what a template gets at it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Token => "join.token, join.tokens",
            Self::PasswordHash => "login.password_hash",
            Self::WifiKey => "the WiFi key in netplan",
            Self::Proxy => "the proxy's password in proxy or first_boot",
        }
    }
}

/// The secrets of a cluster, in the forms that a card carries.
#[derive(Clone)]
pub(super) struct CardSecrets {
    /// What this node joins with; the control plane does not.
    pub(super) token: Option<Secret>,
    /// What nodes may join with, each with the node that it is for: the control plane's to know.
    pub(super) bootstrap_tokens: Vec<(String, Secret)>,
    pub(super) ca_hash: String,
    pub(super) ca_certificate: String,
    pub(super) ca_key: Secret,
    /// Seconds since 1970: before that the CA's certificate is not valid yet.
    pub(super) certificates_from: i64,
    pub(super) ssh_keys: Vec<String>,
    /// The node's own.
    pub(super) host_key: Option<SshKeyPair>,
    /// What this worker joins with where its token is not accepted.
    pub(super) join_conf: Option<Secret>,
    /// What the control plane encrypts copies of etcd with.
    pub(super) backup_key: Option<Secret>,
    pub(super) password_hash: Option<Secret>,
    /// Of each radio network, in their order.
    pub(super) wifi: Vec<WifiSecrets>,
    masked: bool,
    proxy_replaced: bool,
}

/// For the templates' context: the one place where a secret becomes text.
pub(super) fn reveal<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.reveal())
}

/// As [`reveal`].
pub(super) fn reveal_some<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => to.serialize_some(secret.reveal()),
        None => to.serialize_none(),
    }
}

/// As [`reveal`].
pub(super) fn reveal_all<S: Serializer>(secrets: &[Secret], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(secrets.iter().map(Secret::reveal))
}

/// How many nodes more than there are now may join without a word to the control plane.
const SPARE_TOKENS: usize = 16;

/// Stands for the node's name with a token of several; /usr/lib/pibake/tokens knows it.
const EVERY_NODE: &str = "every node";

/// The number and name of every node that the control plane is told a token of: the workers, and
/// those that may be added later.
fn token_owners(cluster: &Cluster) -> impl Iterator<Item = (u16, String)> {
    let workers = cluster.nodes.iter().filter(|node| !node.is_control_plane());
    let workers = workers.map(|node| (node.number, node.name.to_string()));
    let last = cluster.nodes.last().map_or(0, |node| node.number);
    let later = (last + 1..=MAX_NODES).take(SPARE_TOKENS);
    workers.chain(later.map(|number| (number, NodeName::numbered(number).to_string())))
}

fn bootstrap_tokens(cluster: &Cluster, identity: &Identity) -> Vec<(String, Secret)> {
    let mut tokens: Vec<(String, Secret)> = Vec::new();
    for (number, name) in token_owners(cluster) {
        let Some(token) = identity.tokens.of(number) else { continue };
        match tokens.iter_mut().find(|(_, other)| other == token) {
            // one that an old pibake made, which must outlive the first who joins with it
            Some((name, _)) => EVERY_NODE.clone_into(name),
            None => tokens.push((name, token.clone())),
        }
    }
    tokens
}

impl CardSecrets {
    pub(super) fn of(cluster: &Cluster, identity: &Identity, node: &Node) -> Result<Self, identity::Error> {
        let token = identity.tokens.of(node.number).filter(|_| !node.is_control_plane()).cloned();
        let of_others =
            if node.is_control_plane() { bootstrap_tokens(cluster, identity) } else { Vec::new() };
        let host_key = identity.host_keys.as_ref().map(|keys| keys.of(node.number, node.name.as_str()));
        Ok(Self {
            token,
            bootstrap_tokens: of_others,
            ca_hash: identity.ca_hash.clone(),
            ca_certificate: identity.ca_certificate.clone(),
            ca_key: identity.ca_key.clone(),
            certificates_from: identity.not_before,
            ssh_keys: identity.authorized_keys(&cluster.access),
            host_key: host_key.transpose()?,
            join_conf: identity.join_conf(cluster, node),
            backup_key: identity
                .host_keys
                .as_ref()
                .filter(|_| node.is_control_plane())
                .map(HostKeys::backup_key),
            password_hash: identity.password_hash(&cluster.access),
            wifi: WifiSecrets::of(cluster),
            masked: false,
            proxy_replaced: false,
        })
    }

    /// What a cluster shows of itself before its secrets are made.
    pub(super) fn unknown(cluster: &Cluster, node: &Node) -> Self {
        let ssh_keys = match cluster.access.ssh_keys.as_slice() {
            [] => vec!["(a key that the first build makes)".to_owned()],
            keys => keys.to_vec(),
        };
        let empty = || Secret::new("");
        Self {
            token: (!node.is_control_plane()).then(empty),
            bootstrap_tokens: if node.is_control_plane() {
                token_owners(cluster).map(|(_, name)| (name, empty())).collect()
            } else {
                Vec::new()
            },
            ca_hash: format!("sha256:{MASK}"),
            ca_certificate: "(a certificate that the first build makes)\n".to_owned(),
            ca_key: empty(),
            certificates_from: 0,
            ssh_keys,
            host_key: Some(SshKeyPair {
                public: "(a key that the first build makes)".to_owned(),
                private: empty(),
            }),
            join_conf: None,
            backup_key: node.is_control_plane().then(empty),
            password_hash: cluster.access.password.as_ref().map(|password| match password {
                Password::Hash(hash) => hash.clone(),
                Password::Plain(_) => empty(),
            }),
            wifi: WifiSecrets::of(cluster),
            masked: false,
            proxy_replaced: false,
        }
    }

    /// The same with nothing secret in it.
    pub(super) fn masked(&self) -> Self {
        let placeholder = || Secret::new(PLACEHOLDER);
        Self {
            token: self.token.as_ref().map(|_| placeholder()),
            bootstrap_tokens: self
                .bootstrap_tokens
                .iter()
                .map(|(name, _)| (name.clone(), placeholder()))
                .collect(),
            ca_key: Secret::new(format!("{PLACEHOLDER}\n")),
            host_key: self.host_key.as_ref().map(|pair| SshKeyPair {
                public: pair.public.clone(),
                private: Secret::new(format!("{PLACEHOLDER}\n")),
            }),
            join_conf: self.join_conf.as_ref().map(|_| Secret::new(format!("{PLACEHOLDER}\n"))),
            backup_key: self.backup_key.as_ref().map(|_| placeholder()),
            password_hash: self.password_hash.as_ref().map(|_| placeholder()),
            wifi: self.wifi.iter().map(|wifi| wifi.map(|_| placeholder())).collect(),
            masked: true,
            ..self.clone()
        }
    }

    /// The same with other text of the same look for those secrets: what is rendered of both alike
    /// holds none of them.
    pub(super) fn replaced(&self, variables: &[Variable]) -> Self {
        let mut other = self.clone();
        for variable in variables {
            match variable {
                Variable::Token => {
                    other.token = self.token.as_ref().map(replaced);
                    other.bootstrap_tokens.iter_mut().for_each(|(_, token)| *token = replaced(token));
                }
                Variable::PasswordHash => other.password_hash = self.password_hash.as_ref().map(replaced),
                Variable::WifiKey => {
                    other.wifi = self.wifi.iter().map(|wifi| wifi.map(replaced)).collect();
                }
                Variable::Proxy => other.proxy_replaced = true,
            }
        }
        other
    }

    /// The URL of a proxy, without the name and password that it may hold where they are not to be
    /// seen.
    pub(super) fn url(&self, url: &ProxyUrl) -> Secret {
        url.with_credentials(|credentials| {
            let shown = if self.masked { Secret::new(PLACEHOLDER) } else { credentials.clone() };
            if self.proxy_replaced { replaced(&shown) } else { shown }
        })
    }

    /// Whether nothing that is made from this needs to be hidden.
    pub(super) const fn is_masked(&self) -> bool {
        self.masked
    }

    /// What a file shows to people who may not see the secrets: in a preview, masks.
    pub(super) fn mask(&self, text: String) -> String {
        if self.masked { text.replace(PLACEHOLDER, MASK) } else { text }
    }

    /// What no file may hold without it being known for secret.
    pub(super) fn scanner(&self, cluster: &Cluster) -> SecretScanner {
        let proxies = cluster.sources.proxy.iter().flat_map(|proxy| [&proxy.http, &proxy.https]).flatten();
        let proxies = proxies.filter_map(ProxyUrl::credentials);
        let keys =
            [Some(&self.ca_key), self.host_key.as_ref().map(|pair| &pair.private)].into_iter().flatten();
        let key = keys.flat_map(|key| key.reveal().lines()).filter(|line| !line.starts_with("-----"));
        let psks = self.wifi.iter().filter_map(|wifi| wifi.psk.as_ref());
        let single =
            [&self.token, &self.password_hash, &self.backup_key].into_iter().flatten().chain(psks.clone());
        let tokens = self.bootstrap_tokens.iter().map(|(_, token)| token);
        let password = match &cluster.access.password {
            Some(Password::Plain(password)) => Some(password),
            _ => None,
        };
        let chosen = self.wifi.iter().flat_map(|wifi| [&wifi.passphrase, &wifi.key_password]).flatten();
        let chosen = chosen.chain(password).filter(|secret| is_telling(secret.reveal()));
        // wpa_supplicant takes both cases
        let capitals: Vec<String> = psks.map(|psk| psk.reveal().to_uppercase()).collect();
        let secrets = single.chain(tokens).chain(proxies).chain(chosen).map(Secret::reveal);
        SecretScanner::new(secrets.chain(capitals.iter().map(String::as_str)).chain(key))
    }
}

/// Whether a text that somebody chose can be looked for. A lone word ("kubernetes") stands in files by chance.
fn is_telling(text: &str) -> bool {
    text.chars().any(char::is_alphabetic) && text.chars().any(|c| !c.is_alphabetic())
}

/// Another text of the same length and the same kinds of characters, so that whatever a template
/// does with one it can do with the other.
fn replaced(secret: &Secret) -> Secret {
    let turn = |c: char, from: char, to: char| {
        let (low, len) = (u32::from(from), u32::from(to) - u32::from(from) + 1);
        char::from_u32(low + (u32::from(c) - low + 1) % len).unwrap_or(c)
    };
    let other: String = secret
        .reveal()
        .chars()
        .map(|c| match c {
            '0'..='9' => turn(c, '0', '9'),
            'a'..='f' => turn(c, 'a', 'f'),
            'g'..='z' => turn(c, 'g', 'z'),
            'A'..='F' => turn(c, 'A', 'F'),
            'G'..='Z' => turn(c, 'G', 'Z'),
            other => other,
        })
        .collect();
    Secret::new(if other == secret.reveal() { format!("{other}0") } else { other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_stand_anywhere_are_not_looked_for() {
        for word in ["kubernetes", "Passwort", "12345678", "192.168.1.1"] {
            assert!(!is_telling(word), "{word}");
        }
        for text in ["correct horse", "raspberry-7", "s3cret-s3cret"] {
            assert!(is_telling(text), "{text}");
        }
    }

    #[test]
    fn another_secret_looks_alike_and_shares_no_letter() {
        assert_eq!(replaced(&Secret::new("az09.fF-Z")).reveal(), "bg10.aA-G");
        assert_eq!(replaced(&Secret::new("")).reveal(), "0");
        assert_eq!(replaced(&Secret::new("§:")).reveal(), "§:0");
    }
}
