//! `[kubernetes]` and `[sources]`.

use std::collections::BTreeMap;
use std::path::Path;

use super::passwords::{self, Passwords};
use super::values::{existing, path};
use crate::cluster::toml::{Document, Table};
use crate::cluster::{
    AptSource, Cgroup, ContainerdSource, Fingerprint, Flannel, ImageLayout, Kubernetes, NetworkPlugin, Proxy,
    ProxyUrl, Sources, check, defaults, minors, software,
};
use crate::registry;

pub(super) fn kubernetes(
    root: &mut Table<'_, '_>,
    document: &Document<'_>,
    dir: &Path,
    nodes: usize,
) -> Kubernetes {
    let mut table = root.table("kubernetes");
    let version = table.read("version", |text| minors::check(text.parse()?));
    let pods = table.read("pods", check::network);
    let services = table.read("services", check::network);
    let containerd = table.read("containerd", |text| {
        let form = |_| "must be a version such as \"1.7\" or \"2.1\"".to_owned();
        software::check_containerd(text.parse().map_err(form)?)
    });
    let sources = [ContainerdSource::Distribution, ContainerdSource::Docker].map(|s| (s.as_str(), s));
    let containerd_from = table.choose("containerd-from", &sources);
    let pause_image = table.read("pause-image", registry::image);
    let cgroup = table.choose("cgroup", &[("v1", Cgroup::V1), ("v2", Cgroup::V2)]);
    let schedule_on_control_plane = table.flag("schedule-on-control-plane", nodes == 1);
    let manifests = table.read_each("manifests", |text| {
        let path = path(dir, text);
        match std::fs::metadata(&path) {
            Ok(_) => Ok(path),
            Err(error) => Err(format!("reading {}: {error}", path.display())),
        }
    });
    let mut network = table.table("network");
    let plugin =
        network.choose("plugin", &[("flannel", NetworkPlugin::Flannel), ("none", NetworkPlugin::None)]);
    let plugin = plugin.unwrap_or(NetworkPlugin::Flannel);
    network.finish();
    let mut flannel = table.table("flannel");
    let mut image =
        |key, default: &str| flannel.read(key, registry::image).unwrap_or_else(|| default.to_owned());
    let images = Flannel {
        image: image("image", defaults::FLANNEL_IMAGE),
        cni_plugin_image: image("cni-plugin-image", defaults::FLANNEL_CNI_PLUGIN_IMAGE),
    };
    flannel.finish();
    table.finish();
    for key in ["kubernetes.flannel.image", "kubernetes.flannel.cni-plugin-image"] {
        if plugin == NetworkPlugin::None && document.is_set(key) {
            document.report(key, "does nothing without flannel, and kubernetes.network.plugin is \"none\"");
        }
    }
    Kubernetes {
        version,
        pods: pods.unwrap_or(defaults::PODS),
        services: services.unwrap_or(defaults::SERVICES),
        containerd,
        containerd_from,
        pause_image,
        cgroup,
        schedule_on_control_plane,
        plugin,
        flannel: images,
        manifests,
    }
}

pub(super) fn sources(root: &mut Table<'_, '_>, dir: &Path, passwords: &Passwords) -> Sources {
    let mut table = root.table("sources");
    let ubuntu = table.read("ubuntu", |t| check::web_address(t, &[]));
    let docker = (defaults::DOCKER, defaults::DOCKER_KEY, defaults::DOCKER_FINGERPRINT);
    let docker = apt(table.table("docker"), docker, &[], dir);
    let kubernetes = (defaults::KUBERNETES, defaults::KUBERNETES_KEY, defaults::KUBERNETES_FINGERPRINT);
    let kubernetes = apt(table.table("kubernetes"), kubernetes, &["{minor}"], dir);
    let image_registry = table.read("image-registry", registry::registry);
    let image_layout = table.read("image-layout", |text| match text {
        "upstream" => Ok(ImageLayout::Upstream),
        "flat" => Ok(ImageLayout::Flat),
        _ => Err("must be \"upstream\" (coredns/coredns, as registry.k8s.io has it) or \"flat\" (coredns)"),
    });
    let registry_mirrors = mirrors(table.table("registry-mirrors"));
    let ntp = table.read_each("ntp", check::server);
    let proxy = proxy(table.table("proxy"), dir, passwords);
    table.finish();
    Sources {
        ubuntu: ubuntu.unwrap_or_else(|| defaults::UBUNTU.to_owned()),
        docker,
        kubernetes,
        image_registry: image_registry.unwrap_or_else(|| defaults::IMAGE_REGISTRY.to_owned()),
        image_layout,
        registry_mirrors,
        ntp,
        proxy,
    }
}

fn apt(
    mut table: Table<'_, '_>,
    (url, key_url, fingerprint): (&str, &str, Fingerprint),
    placeholders: &[&str],
    dir: &Path,
) -> AptSource {
    let mut address = |key, default: &str| {
        let given = table.read(key, |t| check::web_address(t, placeholders));
        given.unwrap_or_else(|| default.to_owned())
    };
    let source = AptSource {
        url: address("url", url),
        key_url: address("key-url", key_url),
        key_file: table.text("key-file").and_then(|f| existing(f, dir, false)),
        fingerprint: table.read("fingerprint", str::parse).unwrap_or(fingerprint),
    };
    table.finish();
    source
}

fn mirrors(mut table: Table<'_, '_>) -> BTreeMap<String, Vec<String>> {
    let mut mirrors = BTreeMap::new();
    for (registry, endpoints) in table.rest() {
        let Some(endpoints) = endpoints.list() else { continue };
        for endpoint in endpoints.into_iter().filter_map(crate::cluster::toml::Value::text) {
            let checked = endpoint.check(|text| match registry::registry(&registry) {
                Ok(host) if !host.contains('/') => check::web_address(text, &[]),
                _ => Err(format!("{registry:?} must be the host of a registry, such as docker.io")),
            });
            mirrors.entry(registry.clone()).or_insert_with(Vec::new).extend(checked);
        }
    }
    mirrors
}

fn proxy(mut table: Table<'_, '_>, dir: &Path, passwords: &Passwords) -> Option<Proxy> {
    let http: Option<ProxyUrl> = table.read("http", str::parse);
    let https: Option<ProxyUrl> = table.read("https", str::parse);
    let bypass = table.read_each("bypass", check::proxy_bypass);
    let given = http.is_some() || https.is_some();
    let variable = (passwords::PROXY, passwords.proxy.as_ref().filter(|_| given));
    let password = table.secret("password", "password-file", variable, |f| passwords::read(dir, f));
    let (http, https) = match password {
        None => (http, https),
        Some(password) => password
            .check(|password| {
                let with = |url: &Option<ProxyUrl>| url.as_ref()?.with_password(password);
                match (with(&http), with(&https)) {
                    (None, None) => {
                        Err("needs a user's name, and no password, in http or https: http://me@proxy:3128")
                    }
                    (one, other) => Ok((one.or_else(|| http.clone()), other.or_else(|| https.clone()))),
                }
            })
            .unwrap_or_default(),
    };
    table.finish();
    (http.is_some() || https.is_some()).then_some(Proxy { http, https, bypass })
}
