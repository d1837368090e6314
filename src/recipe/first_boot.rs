//! /etc/pibake/node.env: what the first-boot program knows of its node.

use serde::Serialize;

use super::apt::{self, KeySource};
use super::inputs::Inputs;
use super::packages;
use super::secrets::reveal;
use crate::cluster::{Lan, LanAddressing, Mode, Node, Secret};
use crate::node_paths;

/// One line of node.env.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    name: &'static str,
    /// A proxy's URL may hold a password.
    #[serde(serialize_with = "reveal")]
    value: Secret,
}

impl Setting {
    /// The variable `name` with this value.
    pub(super) fn new(name: &'static str, value: Secret) -> Self {
        Self { name, value }
    }
}

/// Whom a node has its address from, in the words of node.env.
fn address_from(mode: &Mode, node: &Node) -> &'static str {
    match mode {
        Mode::Gateway(_) if !node.is_control_plane() => "gateway",
        Mode::Lan(Lan { addressing: LanAddressing::Dhcp, .. }) => "router",
        Mode::Gateway(_) | Mode::Lan(_) => "card",
    }
}

/// The settings, which /usr/lib/pibake/lib/node-env explains.
pub(super) fn settings(from: &Inputs<'_>, api_port: u16) -> Vec<Setting> {
    let Inputs { cluster, node, control_plane, software, secrets, .. } = from;
    let gateway = cluster.network.gateway().filter(|_| node.is_control_plane());
    let base = packages::base(software.kubernetes.minor, gateway.is_some());
    let mut settings = vec![
        ("NODE_NAME", node.name.to_string()),
        ("ROLE", node.role.as_str().to_owned()),
        ("NODE_ADDRESS", node.address.to_string()),
        ("CLUSTER_INTERFACE", cluster.network.link.interface().into_owned()),
        ("ADDRESS_FROM", address_from(&cluster.network.mode, node).to_owned()),
        ("CLUSTER_NETWORK", cluster.network.subnet.to_string()),
        ("POD_NETWORK", cluster.kubernetes.pods.to_string()),
        ("SERVICE_NETWORK", cluster.kubernetes.services.to_string()),
        ("CONTROL_PLANE", format!("{}:{api_port}", control_plane.address)),
        ("LOGIN_USER", cluster.access.user.clone()),
        ("BASE_PACKAGES", base.join(" ")),
        ("CONTAINERD_PACKAGES", software.containerd_from.package().to_owned()),
        ("KUBERNETES_PACKAGES", apt::kubernetes_packages().join(" ")),
        ("UPGRADE", cluster.upgrade.as_str().to_owned()),
        ("BAKED_CLUSTER", cluster.name.clone()),
        ("BAKED_CA_HASH", secrets.ca_hash.clone()),
        ("BAKED_KUBERNETES", software.kubernetes.to_string()),
        ("BAKED_CONTAINERD", software.containerd.to_string()),
        ("BAKED_BY", env!("CARGO_PKG_VERSION").to_owned()),
        ("CERTIFICATES_FROM", secrets.certificates_from.to_string()),
    ];
    for KeySource { keyring, urls, fingerprint } in apt::key_sources(&cluster.sources, software) {
        let [file, url, trusted] = match keyring {
            node_paths::DOCKER_KEYRING => ["DOCKER_KEYRING", "DOCKER_KEY_URL", "DOCKER_KEY_FINGERPRINT"],
            _ => ["KUBERNETES_KEYRING", "KUBERNETES_KEY_URL", "KUBERNETES_KEY_FINGERPRINT"],
        };
        settings.push((file, keyring.to_owned()));
        settings.push((url, urls.join(" ")));
        settings.push((trusted, fingerprint.to_string()));
    }
    if let Some(gateway) = gateway {
        settings.push(("GATEWAY", "yes".to_owned()));
        settings.push(("UPLINK_INTERFACE", gateway.uplink.link.interface().into_owned()));
    }
    if let (Some(ipv6), Some(address)) = (&cluster.network.ipv6, node.ipv6) {
        settings.push(("IPV6_ADDRESS", address.to_string()));
        settings.push(("IPV6_NETWORK", ipv6.subnet.to_string()));
        settings.push(("IPV6_PODS", ipv6.pods.to_string()));
        settings.push(("IPV6_SERVICES", ipv6.services.to_string()));
    }
    if let Some(board) = node.board {
        settings.push(("BAKED_BOARD", board.as_str().to_owned()));
    }
    if let Some(from) = node.boot_from {
        settings.push(("BAKED_BOOT_FROM", from.as_str().to_owned()));
    }
    if secrets.password_hash.is_some() {
        settings.push(("SECRETS", node_paths::PASSWORD.to_owned()));
    }
    let setting = |(name, value)| Setting { name, value: Secret::new(value) };
    let mut settings: Vec<_> = settings.into_iter().map(setting).collect();
    if let Some(proxy) = &cluster.sources.proxy {
        let urls = [("HTTP_PROXY", &proxy.http), ("HTTPS_PROXY", &proxy.https)];
        let given = urls.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?)));
        settings.extend(given.map(|(name, url)| Setting { name, value: secrets.url(url) }));
    }
    settings
}
