//! /etc/pibake/node.env: what the first-boot program knows of its node.

use serde::Serialize;

use super::apt::{self, CONTAINERD_PACKAGE};
use super::context::Sources;
use super::packages;

/// One line of node.env.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    name: &'static str,
    value: String,
}

/// Where the login's password hash is until cloud-init has set it.
pub(super) const PASSWORD_FILE: &str = "/etc/cloud/cloud.cfg.d/98-pibake-password.cfg";

/// The settings, which /usr/lib/pibake/lib/node-env explains.
pub(super) fn settings(from: &Sources<'_>, api_port: u16) -> Vec<Setting> {
    let Sources { cluster, node, control_plane, software, hidden, .. } = from;
    let gateway = cluster.network.gateway().filter(|_| node.is_control_plane());
    let (docker, kubernetes) = (&cluster.sources.docker, &cluster.sources.kubernetes);
    let minor = software.kubernetes.minor;
    let base = packages::base(minor, gateway.is_some());
    let mut settings = vec![
        ("NODE_NAME", node.name.clone()),
        ("ROLE", node.role.as_str().to_owned()),
        ("NODE_ADDRESS", node.address.to_string()),
        ("CLUSTER_INTERFACE", cluster.network.interface.clone()),
        ("CLUSTER_NETWORK", cluster.network.subnet.to_string()),
        ("POD_NETWORK", cluster.kubernetes.pods.to_string()),
        ("SERVICE_NETWORK", cluster.kubernetes.services.to_string()),
        ("CONTROL_PLANE", format!("{}:{api_port}", control_plane.address)),
        ("LOGIN_USER", cluster.access.user.clone()),
        ("BASE_PACKAGES", base.join(" ")),
        ("CONTAINERD_PACKAGES", CONTAINERD_PACKAGE.to_owned()),
        ("KUBERNETES_PACKAGES", apt::kubernetes_packages().join(" ")),
        ("CERTIFICATES_FROM", hidden.certificates_from.to_string()),
        ("DOCKER_KEYRING", apt::DOCKER_KEYRING.to_owned()),
        ("DOCKER_KEY_URL", docker.key_url.clone()),
        ("DOCKER_KEY_FINGERPRINT", docker.fingerprint.clone()),
        ("KUBERNETES_KEYRING", apt::KUBERNETES_KEYRING.to_owned()),
        ("KUBERNETES_KEY_URL", apt::with_minor(&kubernetes.key_url, minor)),
        ("KUBERNETES_KEY_FINGERPRINT", kubernetes.fingerprint.clone()),
    ];
    if let Some(gateway) = gateway {
        settings.push(("GATEWAY", "yes".to_owned()));
        settings.push(("UPLINK_INTERFACE", gateway.uplink.interface.clone()));
    }
    if hidden.password_hash.is_some() {
        settings.push(("SECRETS", PASSWORD_FILE.to_owned()));
    }
    if let Some(proxy) = &cluster.sources.proxy {
        settings.extend(proxy.http.iter().map(|url| ("HTTP_PROXY", hidden.url(url.reveal()))));
        settings.extend(proxy.https.iter().map(|url| ("HTTPS_PROXY", hidden.url(url.reveal()))));
    }
    settings.into_iter().map(|(name, value)| Setting { name, value }).collect()
}
