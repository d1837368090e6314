//! What a cluster was made with, and what of it may change later.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cluster::{Cluster, KubernetesVersion, Platform, Software};

/// What a cluster was made with: written down with its first cards, so that a card made later, by a
/// newer pibake or over another base image, still fits the cluster that is running by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Made {
    /// The version of pibake.
    pub pibake: String,
    /// When, in seconds since 1970.
    pub created: i64,
    /// The base image as the description named it.
    pub base: String,
    /// The base image's system, a name of [`Platform`].
    pub platform: String,
    /// The API server's version.
    #[serde(serialize_with = "as_text", deserialize_with = "version")]
    pub kubernetes: KubernetesVersion,
    /// containerd's version.
    pub containerd: String,
    /// The nodes' network.
    pub subnet: String,
    /// The pods' network.
    pub pods: String,
    /// The services' network.
    pub services: String,
    /// The networks of IPv6, those of nodes, pods and services; of the clusters before there were any, none.
    #[serde(default = "no_ipv6")]
    pub ipv6: String,
    /// The domain, and with it the API server's name.
    pub domain: String,
    /// The control plane's address.
    pub control_plane: String,
}

fn no_ipv6() -> String {
    "none".to_owned()
}

fn as_text<S: Serializer>(version: &KubernetesVersion, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(version)
}

/// A text that is no version, which a hand may have written, is refused: a card that is made without knowing the API
/// server's may have a kubelet that is newer.
fn version<'de, D: Deserializer<'de>>(from: D) -> Result<KubernetesVersion, D::Error> {
    let text = String::deserialize(from)?;
    let refused = |form: &str| {
        D::Error::custom(format!("kubernetes {form}, and is {text:?}: set it to what node-1 runs"))
    };
    text.parse().map_err(refused)
}

/// A setting that a running cluster does not let change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its key in the description.
    pub key: &'static str,
    /// What the cluster was made with.
    pub made: String,
    /// What the description says now.
    pub now: String,
    /// Why it may not change.
    pub reason: &'static str,
}

impl Made {
    /// What `cluster` would be made with now. `now` is in seconds since 1970.
    #[must_use]
    pub fn of(cluster: &Cluster, platform: &Platform, software: &Software, now: i64) -> Self {
        let [subnet, control_plane, pods, services, ipv6, domain] = fixed(cluster);
        Self {
            pibake: env!("CARGO_PKG_VERSION").to_owned(),
            created: now,
            base: cluster.base.image.to_string(),
            platform: platform.name.to_owned(),
            kubernetes: software.kubernetes,
            containerd: software.containerd.to_string(),
            subnet,
            pods,
            services,
            ipv6,
            domain,
            control_plane,
        }
    }

    /// The first setting of `cluster` that is another now and may not be.
    #[must_use]
    pub fn changed(&self, cluster: &Cluster) -> Option<Fixed> {
        let made = [&self.subnet, &self.control_plane, &self.pods, &self.services, &self.ipv6, &self.domain];
        let mut rows = FIXED.into_iter().zip(made.into_iter().zip(fixed(cluster)));
        let differs = rows.find(|(_, (made, now))| *made != now);
        differs.map(|((key, reason), (made, now))| Fixed { key, made: made.clone(), now, reason })
    }
}

/// The settings that a running cluster does not let change, and why.
const FIXED: [(&str, &str); 6] = [
    ("network.subnet", "every node has its address in it"),
    (
        "network.first-address",
        "the control plane's address is in its certificates and on every worker's card",
    ),
    ("kubernetes.pods", "nodes and pods that are there keep their addresses"),
    ("kubernetes.services", "services and the API server's certificate keep their addresses"),
    ("network.ipv6", "a cluster is of IPv4 or of both kinds from its beginning, and its addresses stay"),
    ("domain", "the API server's name is in its certificate and on every worker's card"),
];

/// The values of [`FIXED`] in `cluster`.
fn fixed(cluster: &Cluster) -> [String; FIXED.len()] {
    [
        cluster.network.subnet.trunc().to_string(),
        cluster.control_plane().map_or_else(String::new, |node| node.address.to_string()),
        cluster.kubernetes.pods.trunc().to_string(),
        cluster.kubernetes.services.trunc().to_string(),
        cluster
            .network
            .ipv6
            .as_ref()
            .map_or_else(no_ipv6, |ipv6| format!("{}, {}, {}", ipv6.subnet, ipv6.pods, ipv6.services)),
        cluster.domain.clone(),
    ]
}

/// How many minor versions a kubelet may be older than its API server
/// (kubernetes.io/releases/version-skew-policy: three, and two before 1.28).
#[must_use]
pub fn kubelet_may_lag(server: KubernetesVersion) -> u16 {
    if server.minor >= 28 { 3 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Overrides;

    fn cluster(text: &str) -> Cluster {
        Cluster::parse("pibake.toml", text, std::path::Path::new(""), &Overrides::default()).unwrap()
    }

    #[test]
    fn what_nodes_already_know_may_not_change() {
        let platform = Platform::named("24.04").unwrap();
        let first = cluster("nodes = 4");
        let made = Made::of(&first, &platform, &first.software(&platform).unwrap(), 7);
        let key = |text: &str| made.changed(&cluster(text)).map(|f| f.key);
        for same in ["nodes = 9", "[kubernetes]\nversion = \"1.30\"", "[access]\nuser = \"me\"", ""] {
            assert_eq!(key(same), None, "{same}");
        }
        assert_eq!(key("domain = \"attic.home\""), Some("domain"));
        assert_eq!(key("[network]\nsubnet = \"10.1.0.0/24\""), Some("network.subnet"));
        assert_eq!(key("[network]\nsubnet = \"10.0.0.0/23\""), Some("network.subnet"));
        assert_eq!(key("[network]\nfirst-address = \"10.0.0.2\""), Some("network.first-address"));
        assert_eq!(key("[kubernetes]\npods = \"10.200.0.0/16\""), Some("kubernetes.pods"));
        assert_eq!(key("[kubernetes]\nservices = \"10.50.0.0/16\""), Some("kubernetes.services"));
        let dual = "[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\n";
        assert_eq!(key(dual), Some("network.ipv6"));
        let made_dual = Made::of(&cluster(dual), &platform, &first.software(&platform).unwrap(), 7);
        assert_eq!(made_dual.changed(&cluster(dual)), None);
        assert_eq!(made_dual.changed(&first).map(|f| f.now), Some("none".to_owned()));
        assert_eq!(made.kubernetes.minor, 37);
    }

    #[test]
    fn a_record_without_a_version_of_kubernetes_is_none() {
        let platform = Platform::named("24.04").unwrap();
        let first = cluster("");
        let made = Made::of(&first, &platform, &first.software(&platform).unwrap(), 7);
        let text = toml::to_string(&made).unwrap();
        assert_eq!(toml::from_str::<Made>(&text).unwrap(), made);
        // One of before there was IPv6.
        let before = text.replace("ipv6 = \"none\"\n", "");
        assert_ne!(before, text);
        assert_eq!(toml::from_str::<Made>(&before).unwrap(), made);
        let of = |version: &str| {
            let lines = text.lines().map(|line| match line.split_once(" = ") {
                Some(("kubernetes", _)) => format!("kubernetes = {version:?}\n"),
                _ => format!("{line}\n"),
            });
            toml::from_str::<Made>(&lines.collect::<String>())
        };
        assert_eq!(of("1.31.2").unwrap().kubernetes.to_string(), "1.31.2");
        for bad in ["1.34.2-rc.1", "", "2.0", "1.034", "1"] {
            let error = of(bad).unwrap_err();
            assert!(error.message().ends_with(&format!("is {bad:?}: set it to what node-1 runs")), "{error}");
        }
    }
}
