//! The kubeconfig that a worker's new card joins with.

use super::admin::{api_url, kubeconfig};
use super::admin_store::authority;
use super::joining::user;
use super::{Error, Identity};
use crate::cluster::{Cluster, Node, Secret};

impl Identity {
    /// As [`super::Joining::renew`].
    pub(super) fn renew_joining(&mut self, cluster: &Cluster, now: i64) -> Result<(), Error> {
        let issuer = authority(self)?;
        self.joining.renew(cluster, &issuer, now)
    }

    /// The kubeconfig that a worker's card joins with where its token is not accepted; `None` for a node that has no
    /// certificate yet.
    #[must_use]
    pub fn join_conf(&self, cluster: &Cluster, node: &Node) -> Option<Secret> {
        let (certificate, key) = self.joining.of(&node.name).filter(|_| !node.is_control_plane())?;
        let url = api_url(&cluster.api_name(), None);
        let user = user(&node.name);
        Some(kubeconfig(cluster, &url, None, &user, &self.ca_certificate, certificate, key))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::cluster::{Overrides, Ttl, now_for_tests};
    use crate::identity::Joining;

    fn parse(text: &str) -> Cluster {
        Cluster::parse("pibake.toml", text, std::path::Path::new(""), &Overrides::default()).unwrap()
    }

    /// Whom the certificate in a node's kubeconfig is for, by the common name in it.
    fn certified(identity: &Identity, cluster: &Cluster, number: usize) -> String {
        let conf = identity.join_conf(cluster, &cluster.nodes[number - 1]).unwrap();
        let (_, data) = conf.reveal().split_once("client-certificate-data: \"").unwrap();
        let pem = STANDARD.decode(data.split_once('"').unwrap().0).unwrap();
        let der = CertificateDer::from_pem_slice(&pem).unwrap();
        let text = String::from_utf8_lossy(&der).into_owned();
        let (_, name) = text.split_once("system:node:").unwrap();
        name.chars().take_while(|c| c.is_ascii_lowercase()).collect()
    }

    #[test]
    fn nobody_joins_by_the_certificate_of_another_name() {
        let named = |names: &[&str]| {
            let first = "{ name = \"head\", role = \"control-plane\" }".to_owned();
            let workers = names.iter().map(|name| format!("{{ name = \"{name}\" }}"));
            let nodes = std::iter::once(first).chain(workers).collect::<Vec<_>>();
            parse(&format!("nodes = [{}]", nodes.join(", ")))
        };
        let now = now_for_tests();
        let mut identity = Identity::make("kubernetes", now, Ttl::NEVER).unwrap();
        let first = named(&["beech", "cedar"]);
        identity.renew_joining(&first, now).unwrap();
        assert_eq!(certified(&identity, &first, 2), "beech");
        let before = identity.joining.clone();
        // Swapped: each keeps its own, since nothing else is the same.
        let swapped = named(&["cedar", "beech"]);
        assert_eq!(certified(&identity, &swapped, 2), "cedar");
        identity.renew_joining(&swapped, now + 60).unwrap();
        assert_eq!(identity.joining, before);
        assert_eq!(certified(&identity, &swapped, 3), "beech");
        // Renamed, before and after it is made, and one left out, so that the next has its number.
        let renamed = named(&["birch", "cedar"]);
        assert!(identity.join_conf(&renamed, &renamed.nodes[1]).is_none());
        identity.renew_joining(&renamed, now + 60).unwrap();
        assert_eq!(certified(&identity, &renamed, 2), "birch");
        let fewer = named(&["cedar"]);
        identity.renew_joining(&fewer, now + 60).unwrap();
        assert_eq!(certified(&identity, &fewer, 2), "cedar");
    }

    #[test]
    fn a_worker_has_one_for_days_and_the_same_until_it_ends_soon() {
        let cluster = parse("nodes = 3");
        let now = now_for_tests();
        let mut identity = Identity::make("kubernetes", now, Ttl::NEVER).unwrap();
        let node = |number: usize| &cluster.nodes[number - 1];
        assert!(identity.join_conf(&cluster, node(2)).is_none());
        identity.renew_joining(&cluster, now).unwrap();
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
            identity.renew_joining(&cluster, now + days * 24 * 60 * 60).unwrap();
            assert_eq!(identity.joining == first, same, "{days}");
        }
        // Never longer than the CA.
        identity.renew_joining(&cluster, identity.not_after - 60).unwrap();
        let text = identity.joining.text();
        let end = format!(" {} ", identity.not_after);
        assert!(text.reveal().lines().count() == 2 && text.reveal().lines().all(|line| line.contains(&end)));
    }
}
