//! What a node is told to do: an order, which `overlays/common/usr/lib/pibake/lib/order` reads.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::what::What;
use crate::cluster::{Platform, Software, Sources};
use crate::node_paths;
use crate::recipe::{Action, Recipe, Volume, key_sources};

/// An order as the node reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// What it is known again by: the same order has the same.
    pub(super) id: String,
    pub(super) text: String,
}

/// What becomes of a node besides what its programs do.
pub(super) struct Files<'a> {
    /// What runs on it then.
    pub(super) software: &'a Software,
    /// What a card of it would be then.
    pub(super) recipe: &'a Recipe,
    pub(super) sources: &'a Sources,
}

impl Order {
    /// The order to make a node what `what` says. `version` is the release that the control plane has got, if it has.
    pub(super) fn new(what: What, version: Option<&str>, files: Option<&Files<'_>>) -> Self {
        let mut lines = vec![format!("what={}", what.name())];
        if let Some(version) = version.map(str::to_owned).or_else(|| what.version()) {
            lines.push(format!("version={version}"));
        }
        if let What::System { restart } = what {
            lines.push(format!("restart={}", if restart { "always" } else { "needed" }));
        }
        if let Some(files) = files {
            lines.extend(files.lines(what));
        }
        let body = lines.join("\n");
        let id = hex::encode(&Sha256::digest(&body)[..8]);
        Self { text: format!("format=1\nid={id}\n{body}\nend\n"), id }
    }
}

impl Files<'_> {
    fn lines(&self, what: What) -> Vec<String> {
        let packages = match what {
            What::Containerd(_) => self.software.containerd_from.package(),
            _ => "kubeadm kubelet",
        };
        let mut lines = vec![format!("packages={packages}")];
        let keys = key_sources(self.sources, self.software);
        let kubernetes = keys.iter().find(|key| key.keyring == node_paths::KUBERNETES_KEYRING);
        lines.extend(kubernetes.map(|key| format!("key-urls={}", key.urls.join(" "))));
        for change in &self.recipe.changes {
            let path = change.path.to_string();
            if let Action::Write { content, access, .. } = &change.action
                && change.volume == Volume::Root
                && belongs(what, &path)
            {
                lines.push(format!("file={:o} {path} {}", access.mode, BASE64_STANDARD.encode(content)));
            }
        }
        lines
    }
}

/// Whether a file of a node's is another one with another version of that.
fn belongs(what: What, path: &str) -> bool {
    const PINS: &str = "/etc/apt/preferences.d/pibake";
    // The line between fields, which no path of these has.
    if path.contains([' ', '\n']) {
        return false;
    }
    match what {
        What::Kubernetes(_) => {
            [PINS, "/etc/apt/sources.list.d/pibake-kubernetes.list", node_paths::KUBERNETES_KEYRING]
                .contains(&path)
        }
        What::Containerd(_) => {
            [PINS, "/etc/apt/sources.list.d/pibake-docker.list", node_paths::DOCKER_KEYRING].contains(&path)
                || path.starts_with("/etc/containerd/")
        }
        What::System { .. } => false,
    }
}

/// Whether a node of that platform tries a new kernel once before it is the one.
pub(super) fn tries_kernels(platform: Option<Platform>) -> bool {
    platform.is_some_and(|platform| platform.id == "ubuntu" && platform.version >= "26.04")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_known_again() {
        let of = |restart| Order::new(What::System { restart }, None, None);
        assert_eq!(of(false), of(false));
        assert_ne!(of(false).id, of(true).id);
        insta::assert_snapshot!(of(true).text.replace(&of(true).id, "ID"), @r"
        format=1
        id=ID
        what=system
        restart=always
        end
        ");
    }

    #[test]
    fn files_of_other_things_are_left_alone() {
        let kubernetes = What::Kubernetes("1.35".parse().unwrap());
        let containerd = What::Containerd("2.2".parse().unwrap());
        for (path, of_kubernetes, of_containerd) in [
            ("/etc/apt/preferences.d/pibake", true, true),
            ("/etc/apt/sources.list.d/pibake-kubernetes.list", true, false),
            ("/etc/apt/keyrings/docker.asc", false, true),
            ("/etc/containerd/config.toml", false, true),
            ("/etc/containerd/certs.d/docker.io/hosts.toml", false, true),
            ("/etc/pibake/node.env", false, false),
            ("/etc/netplan/50-cloud-init.yaml", false, false),
        ] {
            assert_eq!(
                (belongs(kubernetes, path), belongs(containerd, path)),
                (of_kubernetes, of_containerd),
                "{path}"
            );
        }
    }
}
