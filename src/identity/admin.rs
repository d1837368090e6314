//! The administrator's kubeconfig.

use std::net::Ipv6Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Identity;
use crate::cluster::{Cluster, Secret};

/// Port of the API server (kubeadm's `KubeAPIServerPort`).
const PORT: u16 = 6443;
/// What kubeadm calls the administrator in kubeconfigs.
pub(super) const USER: &str = "kubernetes-admin";

impl Identity {
    /// The administrator's kubeconfig. It works from the moment that the API server answers, on
    /// any machine that reaches the control plane's address on the cluster's network.
    #[must_use]
    pub fn admin_conf(&self, cluster: &Cluster) -> Secret {
        let server = cluster.control_plane().map_or_else(|| cluster.api_name(), |n| n.address.to_string());
        self.kubeconfig(cluster, &api_url(&server, None), None)
    }

    /// The same for an API server at another URL, by which name its certificate is checked. The URL must need
    /// no quotes: [`api_url`] makes one.
    #[must_use]
    pub fn kubeconfig(&self, cluster: &Cluster, url: &str, certified: Option<&str>) -> Secret {
        let (certificate, key) = (&self.admin_certificate, &self.admin_key);
        kubeconfig(cluster, url, certified, USER, &self.ca_certificate, certificate, key)
    }
}

/// Where the API server answers at `host`, on kubeadm's usual port where none is given.
#[must_use]
pub fn api_url(host: &str, port: Option<u16>) -> String {
    let port = port.unwrap_or(PORT);
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("https://[{host}]:{port}"),
        Err(_) => format!("https://{host}:{port}"),
    }
}

/// A kubeconfig for one user; `user` is what it is called in it.
pub(super) fn kubeconfig(
    cluster: &Cluster,
    url: &str,
    certified: Option<&str>,
    user: &str,
    ca_certificate: &str,
    certificate: &str,
    key: &Secret,
) -> Secret {
    let data = |text: &str| STANDARD.encode(text);
    let name = &cluster.name;
    let certified = certified.map_or_else(String::new, |name| format!("\n    tls-server-name: \"{name}\""));
    // Names are checked to be plain labels, all else is base64: nothing here needs escaping.
    Secret::new(format!(
        r#"apiVersion: v1
kind: Config
clusters:
- name: "{name}"
  cluster:
    server: "{url}"{certified}
    certificate-authority-data: "{ca}"
contexts:
- name: "{user}@{name}"
  context:
    cluster: "{name}"
    user: "{user}"
current-context: "{user}@{name}"
users:
- name: "{user}"
  user:
    client-certificate-data: "{certificate}"
    client-key-data: "{key}"
"#,
        ca = data(ca_certificate),
        certificate = data(certificate),
        key = data(key.reveal()),
    ))
}
