//! Where containerd looks for images instead of at their registry.

use serde::Serialize;

use crate::cluster::Sources;

/// Docker Hub, which is asked under another name than its images carry.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://registry-1.docker.io");

/// One registry that has mirrors, and where they are.
#[derive(Debug, Serialize)]
pub(super) struct Registry {
    host: String,
    server: String,
    endpoints: Vec<String>,
}

impl Registry {
    /// The folder of its hosts.toml in containerd's `certs.d`.
    pub(super) fn folder(&self) -> &str {
        &self.host
    }
}

/// All registries that have mirrors.
pub(super) fn registries(sources: &Sources) -> Vec<Registry> {
    let registry = |(host, endpoints): (&String, &Vec<String>)| Registry {
        host: host.clone(),
        server: match host.as_str() {
            hub if hub == DOCKER_HUB.0 => DOCKER_HUB.1.to_owned(),
            host => format!("https://{host}"),
        },
        endpoints: endpoints.clone(),
    };
    sources.registry_mirrors.iter().map(registry).collect()
}
