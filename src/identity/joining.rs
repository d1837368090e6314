//! What a node's new card joins with after its token was used: a client certificate for that node alone.
//!
//! The user is the node's own (`system:node:NAME`), so the API server lets it do what that node may, and have a
//! certificate signed for no other name (kubernetes.io/docs/reference/access-authn-authz/node). Such a
//! certificate cannot be revoked, so it is good for days only.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::authority::Authority;
use super::error::Error;
use crate::cluster::{Cluster, Secret};

/// How long such a certificate is good for, in seconds.
const VALID: i64 = 10 * 24 * 60 * 60;
/// With less than this left it is made again, in seconds: a card has a week to be put in, and cards that are made
/// within days of each other are the same.
const LEAST: i64 = 7 * 24 * 60 * 60;

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

    /// The certificate and its key for the node with this number, PEM.
    pub(super) fn of(&self, number: u16) -> Option<(&str, &Secret)> {
        self.0.get(&number).map(|pair| (pair.certificate.as_str(), &pair.key))
    }

    /// Makes the certificates of this cluster's workers that are missing or end soon. `now` is in seconds since 1970.
    pub(super) fn renew(&mut self, cluster: &Cluster, issuer: &Authority, now: i64) -> Result<(), Error> {
        for node in cluster.nodes.iter().filter(|node| !node.is_control_plane()) {
            let is_good = |pair: &Pair| (LEAST..=VALID).contains(&(pair.ends - now));
            if self.0.get(&node.number).is_some_and(is_good) {
                continue;
            }
            let user = format!("system:node:{}", node.name);
            let (certificate, key) = issuer.client(&user, Some("system:nodes"), now, Some(VALID))?;
            let ends = now.saturating_add(VALID).min(issuer.not_after);
            self.0.insert(node.number, Pair { ends, certificate, key });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_certificates_is_refused() {
        assert_eq!(Joining::read(""), Some(Joining::default()));
        for bad in ["x", "2 x YQ== YQ==", "2 5 YQ==", "2 5 YQ== !", "70000 5 YQ== YQ==", "\n"] {
            assert_eq!(Joining::read(bad), None, "{bad:?}");
        }
    }
}
