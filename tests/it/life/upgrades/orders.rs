//! Orders, as pibake writes them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::node::source;

/// An order as pibake writes it, with these files.
pub fn order(id: &str, lines: &str, files: &[(&str, &str)]) -> String {
    let files: String = files
        .iter()
        .map(|(path, text)| format!("file=644 {path} {}\n", BASE64_STANDARD.encode(text)))
        .collect();
    format!("format=1\nid={id}\n{lines}{files}end\n")
}

/// The order to become a version of Kubernetes.
pub fn kubernetes(version: &str) -> String {
    let minor = version.split('.').nth(1).unwrap();
    order(
        &format!("to-{version}"),
        &format!(
            "what=kubernetes\nversion={version}\npackages=kubeadm kubelet\nkey-urls=https://pkgs.k8s.io/v1.{minor}/Release.key\n"
        ),
        &[
            ("/etc/apt/preferences.d/pibake", &format!("Pin: version 1.{minor}.*\n")),
            ("/etc/apt/sources.list.d/pibake-kubernetes.list", &source(minor)),
        ],
    )
}
