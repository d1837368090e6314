//! What an SSH client needs to know of the nodes: `ssh_config` and `known_hosts` in the store.

use std::fmt::Write;
use std::path::Path;

use super::{Error, Identity};
use crate::cluster::{Cluster, Mode, Node};

/// What a node is called among the known hosts, by whatever way it is reached.
fn alias(node: &Node, cluster: &Cluster) -> String {
    format!("{}.{}", node.name, cluster.domain)
}

impl Identity {
    /// The nodes' host keys as `known_hosts` has them.
    pub(super) fn known_hosts(&self, cluster: &Cluster) -> Result<String, Error> {
        let mut text = String::new();
        for node in &cluster.nodes {
            let Some(keys) = &self.host_keys else { continue };
            let public = keys.of(node.number, node.name.as_str())?.public;
            let _ = writeln!(text, "{},{},{} {public}", alias(node, cluster), node.name, node.address);
        }
        Ok(text)
    }

    /// What `ssh -F` takes: each node by its name, over node-1 where that is the others' way out. `dir` is where
    /// it lies, with the keys beside it.
    pub(super) fn ssh_config(&self, cluster: &Cluster, dir: &Path) -> String {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let mut text = "# Written by pibake: ssh -F THIS-FILE node-1\n".to_owned();
        let jump = match cluster.network.mode {
            Mode::Gateway(_) => cluster.control_plane(),
            Mode::Lan(_) => None,
        };
        for node in &cluster.nodes {
            let _ = writeln!(text, "Host {}\n    HostName {}", node.name, node.address);
            let _ = writeln!(text, "    HostKeyAlias {}", alias(node, cluster));
            if let Some(first) = jump.filter(|first| first.number != node.number) {
                let _ = writeln!(text, "    ProxyJump {}", first.name);
            }
        }
        let _ = writeln!(text, "Host *\n    User {}", cluster.access.user);
        // Each is known, so that an unknown key is no node's.
        let known = quoted(&dir.join("known_hosts"));
        let _ = writeln!(text, "    StrictHostKeyChecking yes\n    UserKnownHostsFile {known}");
        let _ =
            writeln!(text, "    GlobalKnownHostsFile /dev/null\n    CheckHostIP no\n    UpdateHostKeys no");
        if self.ssh_key.is_some() && cluster.access.ssh_keys.is_empty() {
            let _ =
                writeln!(text, "    IdentitiesOnly yes\n    IdentityFile {}", quoted(&dir.join("ssh_key")));
        }
        text
    }
}

/// A path as ssh_config(5) takes it: in double quotes, in which OpenSSH since 8.7 knows `\"` and `\\`, with `%`
/// doubled, which begins its own words otherwise.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}
