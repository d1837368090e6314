//! Where a registry and its mirrors are asked.
//!
//! An endpoint is an address of a registry: `https://host`, `https://host/prefix` for one that a
//! server has below a path, `https://host/v2/project` for a project of a registry (Harbor's form). What
//! is asked is the address of an API, with its `/v2`.

use serde::Serialize;

/// Docker Hub, which is asked under another name than its images carry.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://registry-1.docker.io");

/// The first segment of every path of the API, and the last that all of them share.
const API: &str = "v2";

/// A registry or a mirror of one.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// The address as containerd's hosts.toml has it.
    pub url: String,
    /// Whether containerd must not put `/v2` at the end.
    pub override_path: bool,
}

impl Endpoint {
    /// `address` has no `/` at its end.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let address = address.trim_end_matches('/');
        let (origin, path) = split(address);
        let mut segments = path.split('/');
        if path.is_empty() || path == "/v2" {
            Self { url: origin.to_owned(), override_path: false }
        } else if segments.clone().next_back() == Some(API) {
            Self { url: address.to_owned(), override_path: false }
        } else if segments.any(|segment| segment == API) {
            Self { url: address.to_owned(), override_path: true }
        } else {
            Self { url: format!("{address}/{API}"), override_path: false }
        }
    }

    /// The address of its API, without a `/` at the end.
    #[must_use]
    pub fn root(&self) -> String {
        match split(&self.url).1 {
            "" => format!("{}/{API}", self.url),
            _ => self.url.clone(),
        }
    }
}

/// `https://host:port` and the path, which is empty or begins with `/`.
fn split(address: &str) -> (&str, &str) {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address.get(host..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| host + at);
    address.split_at(end)
}

/// Where the registry `host` itself is: where the user says, if one of the endpoints is the registry's
/// own address (so it is said that it speaks plain HTTP), else where containerd would look.
#[must_use]
pub fn registry_address(host: &str, endpoints: &[Endpoint]) -> String {
    let own = ["http", "https"].map(|scheme| format!("{scheme}://{host}"));
    if let Some(endpoint) = endpoints.iter().find(|endpoint| own.contains(&endpoint.url)) {
        return endpoint.url.clone();
    }
    let [http, https] = own;
    match host {
        hub if hub == DOCKER_HUB.0 => DOCKER_HUB.1.to_owned(),
        local if is_loopback(local) => http,
        _ => https,
    }
}

/// As containerd's `docker.MatchLocalhost`, but for TLS's own port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    port != Some("443") && (name == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_asked_at_their_own_paths() {
        for (address, url, override_path, root) in [
            ("https://m", "https://m", false, "https://m/v2"),
            ("http://10.0.0.9:5000", "http://10.0.0.9:5000", false, "http://10.0.0.9:5000/v2"),
            ("https://[fd00::1]:5000", "https://[fd00::1]:5000", false, "https://[fd00::1]:5000/v2"),
            ("https://m/v2", "https://m", false, "https://m/v2"),
            ("https://m/v2/hub", "https://m/v2/hub", true, "https://m/v2/hub"),
            ("https://m:8443/v2/a/b", "https://m:8443/v2/a/b", true, "https://m:8443/v2/a/b"),
            ("https://m/below/v2/hub", "https://m/below/v2/hub", true, "https://m/below/v2/hub"),
            ("https://[fd00::1]/v2/hub", "https://[fd00::1]/v2/hub", true, "https://[fd00::1]/v2/hub"),
            ("https://m/below", "https://m/below/v2", false, "https://m/below/v2"),
            ("https://m/below/v2", "https://m/below/v2", false, "https://m/below/v2"),
            ("https://m/v2hub", "https://m/v2hub/v2", false, "https://m/v2hub/v2"),
            ("https://v2/hub", "https://v2/hub/v2", false, "https://v2/hub/v2"),
        ] {
            let endpoint = Endpoint::new(address);
            assert_eq!((endpoint.url.as_str(), endpoint.override_path), (url, override_path), "{address}");
            assert_eq!(endpoint.root(), root, "{address}");
        }
    }

    #[test]
    fn the_registry_itself_is_asked_where_it_is() {
        for (host, endpoint, server) in [
            ("docker.io", "https://m", "https://registry-1.docker.io"),
            ("quay.io", "https://m", "https://quay.io"),
            ("registry.lan:5000", "http://registry.lan:5000", "http://registry.lan:5000"),
            ("registry.lan:5000", "http://m", "https://registry.lan:5000"),
            ("localhost:5000", "http://m", "http://localhost:5000"),
            ("127.0.0.1:5000", "https://m", "http://127.0.0.1:5000"),
            ("[::1]:5000", "https://m", "http://[::1]:5000"),
            ("[fd00::1]", "https://m", "https://[fd00::1]"),
            ("localhost:443", "https://m", "https://localhost:443"),
        ] {
            let found = registry_address(host, &[Endpoint::new(endpoint)]);
            assert_eq!(found, server, "{host} {endpoint}");
        }
    }
}
