//! What is baked now and ends too soon: keys of package repositories, and the cluster's CA.

use std::collections::BTreeSet;

use super::Warning;
use crate::base::Keyring;
use crate::cluster::Cluster;
use crate::identity::Identity;
use crate::node_paths::{DOCKER_KEYRING, KUBERNETES_KEYRING};
use crate::recipe::{Action, Recipe, Volume};

/// Where apt looks for keys.
const KEYRINGS: [&str; 3] = ["/etc/apt/keyrings/", "/etc/apt/trusted.gpg.d/", "/usr/share/keyrings/"];

const DAY: i64 = 24 * 60 * 60;
/// As long as a node has for its first start by default, see [`TOKEN_TTL`](crate::cluster::defaults).
const KEY_LEFT: i64 = 90 * DAY;
/// A CA is renewed on every node by hand, and with it all that it signed.
const CA_LEFT: i64 = 2 * 365 * DAY;

/// The keys on cards of these recipes that have under 90 days left at `now`, or have ended.
pub(super) fn keys<'r>(
    cluster: &Cluster,
    recipes: impl IntoIterator<Item = &'r Recipe>,
    now: i64,
) -> Vec<Warning> {
    let on_cards: BTreeSet<_> = recipes.into_iter().flat_map(ends).collect();
    let soon = on_cards.into_iter().filter(|(_, _, end)| *end < now + KEY_LEFT);
    let warning = |(path, key, end): (String, String, i64)| {
        let source = match path.as_str() {
            DOCKER_KEYRING => Some(("sources.docker.key-file", &cluster.sources.docker.key_url)),
            KUBERNETES_KEYRING => Some(("sources.kubernetes.key-file", &cluster.sources.kubernetes.key_url)),
            _ => None,
        };
        let (setting, url) = source.map(|(setting, url)| (setting, url.clone())).unzip();
        Warning::KeyEnds { path, key: key.to_uppercase(), end, now, setting, url }
    };
    soon.map(warning).collect()
}

/// The path, the fingerprint and the end of each key on a card that ends.
fn ends(recipe: &Recipe) -> Vec<(String, String, i64)> {
    let mut found = Vec::new();
    for change in recipe.changes.iter().filter(|change| change.volume == Volume::Root) {
        let path = change.path.as_str();
        if let Action::Write { content, .. } = &change.action
            && KEYRINGS.iter().any(|folder| path.starts_with(folder))
            // What is no key is for apt to refuse.
            && let Ok(keyring) = Keyring::parse(content)
        {
            found.extend(keyring.ends().into_iter().map(|(key, end)| (path.to_owned(), key, end)));
        }
    }
    found
}

/// A CA that has under two years left at `now`.
pub(super) fn authority(identity: &Identity, now: i64) -> Option<Warning> {
    let end = identity.not_after;
    (end < now + CA_LEFT).then_some(Warning::AuthorityEnds { end, now })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use time::OffsetDateTime;

    use super::*;
    use crate::cluster::{Overrides, Platform, Ttl, now_for_tests};
    use crate::project::Recipes;
    use crate::recipe::{self, Extras};

    /// What `gpg --show-keys` says of overlays/common/etc/apt/keyrings/kubernetes.asc.
    const END: i64 = 1_798_508_024;

    fn recipes() -> (Cluster, Recipes) {
        let cluster = Cluster::parse("pibake.toml", "", Path::new(""), &Overrides::default()).unwrap();
        let platform = Platform::named("20.04").unwrap();
        let of = |node| recipe::preview(&cluster, None, node, &platform, &Extras::default()).unwrap();
        let recipes = cluster.nodes.iter().map(|node| (node.name.to_string(), of(node))).collect();
        (cluster, recipes)
    }

    #[test]
    fn a_key_is_warned_of_once_from_ninety_days_before_its_end() {
        let (cluster, recipes) = recipes();
        let warned =
            |now| keys(&cluster, recipes.values(), now).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(warned(END - KEY_LEFT).is_empty());
        // Docker's has no end, and four nodes have one key.
        let [soon] = &warned(END - KEY_LEFT + 1)[..] else { panic!() };
        insta::assert_snapshot!(soon, @"the key DE15B14486CD377B9E876E1A234654DA9A296436 in /etc/apt/keyrings/kubernetes.asc expires on 2026-12-29, in 89 days: a node that is first started after that must reach https://pkgs.k8s.io/core:/stable:/v{minor}/deb/Release.key to renew it; where it cannot, give a newer copy of the key in sources.kubernetes.key-file");
        let [last_day] = &warned(END - 5)[..] else { panic!() };
        assert!(last_day.contains("expires on 2026-12-29, within a day: "), "{last_day}");
        let [over] = &warned(END + 400 * DAY)[..] else { panic!() };
        assert!(over.contains("expired on 2026-12-29: "), "{over}");
    }

    #[test]
    fn a_ca_is_warned_of_when_it_has_under_two_years() {
        let made = now_for_tests();
        let identity = Identity::make("kubernetes", made, Ttl::NEVER).unwrap();
        let left = |now| identity.not_after - now;
        let soon = identity.not_after - CA_LEFT;
        assert_eq!(authority(&identity, made), None);
        assert_eq!((authority(&identity, soon), left(soon)), (None, CA_LEFT));
        let warning = authority(&identity, soon + 1).unwrap().to_string();
        let end = OffsetDateTime::from_unix_timestamp(identity.not_after).unwrap().date().to_string();
        assert!(warning.contains(&end), "{warning}");
        let warning = warning.replace(&end, "THAT-DAY");
        insta::assert_snapshot!(warning, @"the cluster's CA expires on THAT-DAY, in 729 days: all of its nodes and certificates end with it; make a new cluster before, or renew its CA by hand (kubernetes.io: manual rotation of CA certificates)");
    }
}
