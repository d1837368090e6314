//! The administrator's kubeconfig.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Identity;
use crate::cluster::{Cluster, Secret};

/// Port of the API server (kubeadm's `KubeAPIServerPort`).
const PORT: u16 = 6443;

impl Identity {
    /// The administrator's kubeconfig. It works from the moment that the API server answers, on
    /// any machine that reaches the control plane's address on the cluster's network.
    #[must_use]
    pub fn admin_conf(&self, cluster: &Cluster) -> Secret {
        let data = |text: &str| STANDARD.encode(text);
        let (name, user) = (&cluster.name, "kubernetes-admin");
        // Names are checked to be plain labels, all else is base64: nothing here needs escaping.
        let server = cluster.control_plane().map_or_else(|| cluster.api_name(), |n| n.address.to_string());
        Secret::new(format!(
            r#"apiVersion: v1
kind: Config
clusters:
- name: "{name}"
  cluster:
    server: "https://{server}:{PORT}"
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
            ca = data(&self.ca_certificate),
            certificate = data(&self.admin_certificate),
            key = data(self.admin_key.reveal()),
        ))
    }
}
