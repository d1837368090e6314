//! The proxy, for the programs of a node that fetch something.

use serde::Serialize;

use super::first_boot::Setting;
use super::secrets::{CardSecrets, reveal_all, reveal_some};
use crate::cluster::{Cluster, Secret};

/// What a proxy is to apt and to containerd.
#[derive(Debug, Serialize)]
pub(super) struct ProxySettings {
    #[serde(serialize_with = "reveal_some")]
    http: Option<Secret>,
    #[serde(serialize_with = "reveal_some")]
    https: Option<Secret>,
    /// Hosts that apt reaches without it. apt knows single hosts only, no domains or networks.
    apt_direct: Vec<String>,
    /// What programs take from their environment.
    variables: Vec<Setting>,
    /// The same as `NAME=value`.
    #[serde(serialize_with = "reveal_all")]
    environment: Vec<Secret>,
}

/// The proxy that the cluster's nodes use, where they use one.
pub(super) fn settings(cluster: &Cluster, secrets: &CardSecrets) -> Option<ProxySettings> {
    let proxy = cluster.sources.proxy.as_ref()?;
    let http = proxy.http.as_ref().map(|url| secrets.url(url));
    let https = proxy.https.as_ref().map(|url| secrets.url(url));
    let mut direct = vec![
        "localhost".to_owned(),
        "127.0.0.0/8".to_owned(),
        cluster.network.subnet.trunc().to_string(),
        cluster.kubernetes.pods.to_string(),
        cluster.kubernetes.services.to_string(),
        format!(".{}", cluster.domain),
        ".svc".to_owned(),
        ".cluster.local".to_owned(),
    ];
    if let Some(ipv6) = &cluster.network.ipv6 {
        direct.extend([ipv6.subnet, ipv6.pods, ipv6.services].map(|net| net.to_string()));
    }
    for host in &proxy.bypass {
        if !direct.contains(host) {
            direct.push(host.clone());
        }
    }
    let variables: Vec<(&'static str, Secret)> = [
        http.clone().map(|url| ("HTTP_PROXY", url)),
        https.clone().map(|url| ("HTTPS_PROXY", url)),
        Some(("NO_PROXY", Secret::new(direct.join(",")))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let line = |(name, value): &(&str, Secret)| Secret::new(format!("{name}={}", value.reveal()));
    let single = |host: &&String| !host.starts_with('.') && !host.contains(['/', '*']);
    Some(ProxySettings {
        http,
        https,
        apt_direct: proxy.bypass.iter().filter(single).cloned().collect(),
        environment: variables.iter().map(line).collect(),
        variables: variables.into_iter().map(|(name, value)| Setting::new(name, value)).collect(),
    })
}
