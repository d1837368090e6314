//! What a node's new card joins with after its token was used: a client certificate for that node alone.
//!
//! The user is the node's own (`system:node:NAME`), so the API server lets it do what that node may, and have a
//! certificate signed for no other name (kubernetes.io/docs/reference/access-authn-authz/node). Such a
//! certificate cannot be revoked, so it is good for days only.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::admin::{api_url, kubeconfig};
use super::admin_store::authority;
use super::{Error, Identity};
use crate::cluster::{Cluster, Node, Secret};

/// How long such a certificate is good for, in seconds: a card is written and put in within a week.
const VALID: i64 = 7 * 24 * 60 * 60;
/// With so much left it is made again, in seconds: cards that are made within days of each other are the same.
const RENEWED: i64 = VALID / 2;

/// A certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    ends: i64,
    certificate: String,
    key: Secret,
}

/// The certificates of all workers that cards were made for, by the node's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joining(BTreeMap<u16, Pair>);

impl Joining {
    /// From lines with a node's number, the end in seconds since 1970, the certificate and its key in base64; `None`
    /// where a line is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let decoded = |word: &str| String::from_utf8(STANDARD.decode(word).ok()?).ok();
        let pair = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [number, ends, certificate, key] = words[..] else { return None };
            let (certificate, key) = (decoded(certificate)?, Secret::new(decoded(key)?));
            Some((number.parse().ok()?, Pair { ends: ends.parse().ok()?, certificate, key }))
        };
        text.lines().map(pair).collect::<Option<_>>().map(Self)
    }

    pub(super) fn text(&self) -> Secret {
        let line = |(number, pair): (&u16, &Pair)| {
            let [certificate, key] = [&pair.certificate, pair.key.reveal()].map(|pem| STANDARD.encode(pem));
            format!("{number} {} {certificate} {key}\n", pair.ends)
        };
        Secret::new(self.0.iter().map(line).collect::<String>())
    }
}

impl Identity {
    /// Makes the certificates of this cluster's workers that are missing or end soon. `now` is in seconds since 1970.
    pub(super) fn renew_joining(&mut self, cluster: &Cluster, now: i64) -> Result<(), Error> {
        let issuer = authority(self)?;
        for node in cluster.nodes.iter().filter(|node| !node.is_control_plane()) {
            let is_good = |pair: &Pair| pair.ends - now > RENEWED && pair.ends - now <= VALID;
            if self.joining.0.get(&node.number).is_some_and(is_good) {
                continue;
            }
            let user = format!("system:node:{}", node.name);
            let (certificate, key) = issuer.client(&user, Some("system:nodes"), now, Some(VALID))?;
            let ends = now.saturating_add(VALID).min(self.not_after);
            self.joining.0.insert(node.number, Pair { ends, certificate, key });
        }
        Ok(())
    }

    /// The kubeconfig that a worker's card joins with where its token is not accepted; `None` for a node that has no
    /// certificate yet.
    #[must_use]
    pub fn join_conf(&self, cluster: &Cluster, node: &Node) -> Option<Secret> {
        let pair = self.joining.0.get(&node.number).filter(|_| !node.is_control_plane())?;
        let url = api_url(&cluster.api_name(), None);
        let user = format!("system:node:{}", node.name);
        Some(kubeconfig(cluster, &url, None, &user, &self.ca_certificate, &pair.certificate, &pair.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Overrides, Ttl};

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_worker_has_one_for_days_and_the_same_until_it_ends_soon() {
        let parse = |text: &str| {
            Cluster::parse("pibake.toml", text, std::path::Path::new(""), &Overrides::default()).unwrap()
        };
        let cluster = parse("nodes = 3");
        let mut identity = Identity::make("kubernetes", NOW, Ttl::NEVER).unwrap();
        let node = |number: usize| &cluster.nodes[number - 1];
        assert!(identity.join_conf(&cluster, node(2)).is_none());
        identity.renew_joining(&cluster, NOW).unwrap();
        let first = identity.joining.clone();
        assert!(identity.join_conf(&cluster, node(1)).is_none(), "the control plane joins nobody");
        let conf = identity.join_conf(&cluster, node(2)).unwrap();
        assert!(
            conf.reveal().contains("server: \"https://kubernetes.cluster.home:6443\""),
            "{}",
            conf.reveal()
        );
        assert!(conf.reveal().contains("user: \"system:node:node-2\""));
        assert_ne!(Some(conf), identity.join_conf(&cluster, node(3)));
        assert_eq!(Joining::read(first.text().reveal()), Some(first.clone()));
        for (days, same) in [(0, true), (3, true), (4, false), (8, false), (-1, false)] {
            identity.joining = first.clone();
            identity.renew_joining(&cluster, NOW + days * 24 * 60 * 60).unwrap();
            assert_eq!(identity.joining == first, same, "{days}");
        }
        // Never longer than the CA.
        let end = identity.not_after;
        identity.renew_joining(&cluster, end - 60).unwrap();
        assert!(identity.joining.0.values().all(|pair| pair.ends == end));
    }

    #[test]
    fn what_is_no_list_of_certificates_is_refused() {
        assert_eq!(Joining::read(""), Some(Joining::default()));
        for bad in ["x", "2 x YQ== YQ==", "2 5 YQ==", "2 5 YQ== !", "70000 5 YQ== YQ==", "\n"] {
            assert_eq!(Joining::read(bad), None, "{bad:?}");
        }
    }
}
