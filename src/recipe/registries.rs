//! Where containerd looks for images instead of at their registry.
//!
//! What containerd asks is the address of an API, with its `/v2`. Its versions make that of an endpoint's
//! address differently: with hosts.toml they put `/v2` at the end unless it is there or `override_path` is
//! set (remotes/docker/config/hosts.go), so that a project would be asked at `/v2/project/v2`; 1.4
//! takes a path as it is, and adds `/v2` where there is none (cri's image_pull.go). So it is made here.

use serde::Serialize;

use crate::cluster::Sources;
use crate::registry::{Endpoint, registry_address};

/// One registry that has mirrors, and where they are.
#[derive(Debug, Serialize)]
pub(super) struct Registry {
    host: String,
    /// The registry itself, which is asked last.
    server: String,
    endpoints: Vec<Endpoint>,
    /// The endpoints as containerd 1.4 is told of them: with their whole paths.
    roots: Vec<String>,
}

impl Registry {
    fn new(host: &str, addresses: &[String]) -> Self {
        let mut endpoints = Vec::new();
        for endpoint in addresses.iter().map(|address| Endpoint::new(address)) {
            // A table that is there twice is an error to TOML.
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        let roots = endpoints.iter().map(Endpoint::root).collect();
        Self { host: host.to_owned(), server: registry_address(host, &endpoints), endpoints, roots }
    }

    /// The folder of its hosts.toml in containerd's `certs.d`.
    pub(super) fn folder(&self) -> &str {
        &self.host
    }
}

/// All registries that have mirrors.
pub(super) fn registries(sources: &Sources) -> Vec<Registry> {
    sources.registry_mirrors.iter().map(|(host, endpoints)| Registry::new(host, endpoints)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_is_given_twice_is_asked_once() {
        let addresses = ["https://m", "https://m/v2", "https://n", "https://m"].map(str::to_owned);
        let registry = Registry::new("docker.io", &addresses);
        assert_eq!(registry.roots, ["https://m/v2", "https://n/v2"]);
    }
}
