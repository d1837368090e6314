//! The proxy, for the programs of a node that fetch something.

use serde::Serialize;

use super::hidden::Hidden;
use crate::cluster::Cluster;

/// What a proxy is to apt and to containerd.
#[derive(Debug, Serialize)]
pub(super) struct ProxySettings {
    http: Option<String>,
    https: Option<String>,
    /// Hosts that apt reaches without it. apt knows single hosts only, no domains or networks.
    apt_direct: Vec<String>,
    /// `NAME=value` for programs that take it from their environment.
    environment: Vec<String>,
}

/// The proxy that the cluster's nodes use, where they use one.
pub(super) fn settings(cluster: &Cluster, hidden: &Hidden) -> Option<ProxySettings> {
    let proxy = cluster.sources.proxy.as_ref()?;
    let http = proxy.http.as_ref().map(|url| hidden.url(url.reveal()));
    let https = proxy.https.as_ref().map(|url| hidden.url(url.reveal()));
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
    for host in &proxy.bypass {
        if !direct.contains(host) {
            direct.push(host.clone());
        }
    }
    let variable = |name: &str, value: Option<&str>| value.map(|value| format!("{name}={value}"));
    let environment = [
        variable("HTTP_PROXY", http.as_deref()),
        variable("HTTPS_PROXY", https.as_deref()),
        variable("NO_PROXY", Some(&direct.join(","))),
    ];
    let single = |host: &&String| !host.starts_with('.') && !host.contains(['/', '*']);
    Some(ProxySettings {
        http,
        https,
        apt_direct: proxy.bypass.iter().filter(single).cloned().collect(),
        environment: environment.into_iter().flatten().collect(),
    })
}

/// Whether the proxy's address holds a password.
pub(super) fn has_password(cluster: &Cluster) -> bool {
    let addresses = cluster.sources.proxy.iter().flat_map(|proxy| [&proxy.http, &proxy.https]);
    addresses.flatten().any(|url| url.reveal().contains('@'))
}
