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
use crate::cluster::{Cluster, NodeName, Secret};

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

/// The certificates of all workers that cards were made for, by the node's name: that is what each is for, and whoever
/// has the same number later may be called otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joining(BTreeMap<NodeName, Pair>);

/// Who a node is to the API server.
pub(super) fn user(node: &NodeName) -> String {
    format!("system:node:{node}")
}

impl Joining {
    /// From lines with a node's name, the end in seconds since 1970, the certificate and its key in base64; `None`
    /// where a line is none. One that has a number in the name's place, as an older pibake wrote them, does not say whom
    /// its certificate is for, and counts for nothing.
    pub(super) fn read(text: &str) -> Option<Self> {
        let decoded = |word: &str| String::from_utf8(STANDARD.decode(word).ok()?).ok();
        let pair = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [whose, ends, certificate, key] = words[..] else { return None };
            let (certificate, key) = (decoded(certificate)?, Secret::new(decoded(key)?));
            let pair = Pair { ends: ends.parse().ok()?, certificate, key };
            match whose.parse::<NodeName>() {
                Ok(name) => Some(Some((name, pair))),
                // No node can be called by a number alone.
                Err(_) => whose.parse::<u16>().ok().map(|_| None),
            }
        };
        let lines = text.lines().map(pair).collect::<Option<Vec<_>>>()?;
        Some(Self(lines.into_iter().flatten().collect()))
    }

    pub(super) fn text(&self) -> Secret {
        let line = |(name, pair): (&NodeName, &Pair)| {
            let [certificate, key] = [&pair.certificate, pair.key.reveal()].map(|pem| STANDARD.encode(pem));
            format!("{name} {} {certificate} {key}\n", pair.ends)
        };
        Secret::new(self.0.iter().map(line).collect::<String>())
    }

    /// The certificate and its key for the node of this name, PEM.
    pub(super) fn of(&self, name: &NodeName) -> Option<(&str, &Secret)> {
        self.0.get(name).map(|pair| (pair.certificate.as_str(), &pair.key))
    }

    /// Makes the certificates of this cluster's workers that are missing or end soon, and forgets those of nodes that
    /// are gone when theirs do. `now` is in seconds since 1970.
    pub(super) fn renew(&mut self, cluster: &Cluster, issuer: &Authority, now: i64) -> Result<(), Error> {
        self.0.retain(|_, pair| (LEAST..=VALID).contains(&pair.ends.saturating_sub(now)));
        for node in cluster.nodes.iter().filter(|node| !node.is_control_plane()) {
            if self.0.contains_key(&node.name) {
                continue;
            }
            let user = user(&node.name);
            let (certificate, key) = issuer.client(&user, Some("system:nodes"), now, Some(VALID))?;
            let ends = now.saturating_add(VALID).min(issuer.not_after);
            self.0.insert(node.name.clone(), Pair { ends, certificate, key });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::{Overrides, now_for_tests};

    #[test]
    fn what_is_no_list_of_certificates_is_refused() {
        assert_eq!(Joining::read(""), Some(Joining::default()));
        for bad in
            ["x", "b x YQ== YQ==", "b 5 YQ==", "b 5 YQ== !", "70000 5 YQ== YQ==", "b_ 5 YQ== YQ==", "\n"]
        {
            assert_eq!(Joining::read(bad), None, "{bad:?}");
        }
    }

    /// A number does not tell whether the node that has it is still the one that the certificate names.
    #[test]
    fn a_line_of_an_older_pibake_counts_for_nothing() {
        let read = Joining::read("2 5 YQ== YQ==\nb 5 YQ== YQ==\n").unwrap();
        assert_eq!(read.text().reveal(), "b 5 YQ== YQ==\n");
    }

    #[test]
    fn no_end_that_stands_there_is_too_far_away() {
        let text = format!("a {} YQ== YQ==\nb {} YQ== YQ==\n", i64::MIN, i64::MAX);
        let mut joining = Joining::read(&text).unwrap();
        let now = now_for_tests();
        let issuer = Authority::make(now).unwrap();
        let alone = Cluster::parse("pibake.toml", "nodes = 1", Path::new(""), &Overrides::default()).unwrap();
        joining.renew(&alone, &issuer, now).unwrap();
        assert_eq!(joining, Joining::default());
    }
}
