//! A distribution, Docker's repository and Kubernetes', a registry, a base and a description that names them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pibake::base::{Cache, Fetcher, Ledger, Patience};
use pibake::cluster::{Cluster, Overrides, Platform, Role};
use pibake::image_reader::ImageReader;
use pibake::oci::Credentials;
use pibake::payload::{self, Payload, Request};
use pibake::recipe::{self, Extras, Recipe, Volume};
use support::debian::{deb, packages, release};
use support::gpg::{Gpg, pipe};
use support::http::{File, Server};
use support::images::{self, Spec, put};
use support::run;

use crate::fixture;
use crate::oci::layout::Layout;
use crate::oci::registry::{Filled, Registry};

const LONG_AGO: &str = "20200101T000000!";

/// Where the key of Kubernetes' repository is served.
pub const KUBERNETES_KEY: &str = "/kubernetes.asc";

pub struct World {
    dir: tempfile::TempDir,
    pub server: Server,
    registry: Registry,
    pub gpg: Gpg,
    /// The root file system of the base.
    pub root: PathBuf,
    /// What the base has installed.
    pub status: String,
    /// What the programs of Kubernetes have in them.
    pub program: String,
    /// Images that the user wants.
    pub images: Vec<String>,
}

fn control(name: &str, version: &str, more: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: arm64\n{more}\
         Maintainer: the tests <root@localhost>\nDescription: made up\n of two lines\n"
    )
}

fn installed(name: &str, version: &str) -> String {
    control(name, version, "Status: install ok installed\n") + "\n"
}

impl World {
    pub fn new() -> Self {
        let gpg = Gpg::new();
        gpg.key("distribution", "ed25519", "sign", "never", None);
        gpg.key("docker", "ed25519", "sign", "never", None);
        let kubernetes = gpg.key("kubernetes", "ed25519", "sign", "2y", Some(LONG_AGO));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("expired.gpg"), gpg.export("kubernetes")).unwrap();
        run(gpg.command().args(["--quick-set-expire", &kubernetes, "never"]));
        fs::write(dir.path().join("kubernetes.gpg"), gpg.export("kubernetes")).unwrap();
        let root = dir.path().join("root");
        let status = ["ca-certificates", "iproute2"].map(|name| installed(name, "1")).concat()
            + &installed("curl", "7.1");
        let world = Self {
            root,
            server: Server::start(),
            registry: Registry::open(),
            gpg,
            status,
            program: "x".repeat(300_000) + "3.4.3-03.6.5-0v1.12.1",
            images: vec!["mine/app:1".to_owned()],
            dir,
        };
        world.publish_distribution();
        world.publish_docker("docker");
        world.publish_kubernetes(&["kubelet", "kubectl", "kubeadm", "cri-tools"]);
        world.fill_registry();
        world.make_root();
        for name in ["docker", "kubernetes"] {
            world.serve(&format!("/{name}.asc"), &world.gpg.export(name));
        }
        world
    }

    pub fn serve(&self, path: &str, bytes: &[u8]) {
        self.server.put(path, File::new(bytes));
    }

    fn serve_tree(&self, name: &str) {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
            }
        }
        let mut files = Vec::new();
        walk(&self.dir.path().join(name), &mut files);
        for file in files {
            let path = file.strip_prefix(self.dir.path()).unwrap().to_str().unwrap();
            self.serve(&format!("/{path}"), &fs::read(&file).unwrap());
        }
    }

    /// A suite of what is in the pool, signed by `key`.
    fn suite(&self, name: &str, suite: &str, component: &str, key: &str) {
        let top = self.dir.path().join(name);
        let dist = top.join("dists").join(suite);
        let _ = fs::remove_dir_all(&dist);
        put(&dist.join(format!("{component}/binary-arm64/Packages")), &packages(&top, "pool"));
        let fields = [
            ("Origin", name),
            ("Suite", suite),
            ("Codename", suite),
            ("Components", component),
            ("Architectures", "arm64"),
        ];
        self.sign(&dist, &fields, key);
        self.serve_tree(name);
    }

    fn sign(&self, folder: &Path, fields: &[(&str, &str)], key: &str) {
        let text = release(folder, fields);
        let signed = pipe(self.gpg.command().args(["--local-user", key, "--clearsign"]), text.as_bytes());
        fs::write(folder.join("InRelease"), signed).unwrap();
    }

    fn publish_distribution(&self) {
        let pool = self.dir.path().join("distribution/pool");
        for (name, version, more) in [
            ("ca-certificates", "1", ""),
            ("iproute2", "1", ""),
            ("curl", "7.2", "Depends: libcurl (= 7.2)\n"),
            ("libcurl", "7.2", ""),
            ("gnupg", "2.2", "Depends: gpgv | nowhere\n"),
            ("gpgv", "2.2", ""),
            ("isc-dhcp-server", "4.4.1", "Depends: libdhcp (>= 1:2)\nRecommends: policycoreutils\n"),
            ("libdhcp", "1:2.0", ""),
            ("policycoreutils", "1", ""),
            ("iptables", "1.8.4", ""),
        ] {
            deb(&pool, &control(name, version, more), name);
        }
        self.suite("distribution", "focal", "main", "distribution");
    }

    /// Docker's repository, signed by this key.
    pub fn publish_docker(&self, key: &str) {
        let pool = self.dir.path().join("docker/pool");
        for version in ["1.6.33-1", "1.7.27-1", "2.2.0-1"] {
            deb(&pool, &control("containerd.io", version, ""), version);
        }
        self.suite("docker", "focal", "stable", key);
    }

    /// Docker's repository has one more version.
    pub fn release_containerd(&self, version: &str) {
        let pool = self.dir.path().join("docker/pool");
        deb(&pool, &control("containerd.io", version, ""), version);
        self.suite("docker", "focal", "stable", "docker");
    }

    /// A tag stands for another image now.
    pub fn move_tag(&self, name: &str) {
        let mut layout = Layout::default();
        let image = layout.both("another", 1000);
        self.registry.push(&layout, &image, name, "oci");
    }

    /// A repository without suites, with these packages and the ones that they need.
    pub fn publish_kubernetes(&self, names: &[&str]) {
        let top = self.dir.path().join("kubernetes/1.34");
        let _ = fs::remove_dir_all(&top);
        for version in ["1.34.1-1.1", "1.34.2-1.1"] {
            for name in names {
                let more = if *name == "kubelet" { "Depends: kubernetes-cni (>= 1.7)\n" } else { "" };
                deb(&top.join("arm64"), &control(name, version, more), &self.program);
            }
        }
        deb(&top.join("arm64"), &control("kubernetes-cni", "1.7.1-1.1", ""), "cni");
        put(&top.join("Packages"), &packages(&top, "arm64"));
        self.sign(&top, &[("Origin", "kubernetes")], "kubernetes");
        self.serve_tree("kubernetes");
    }

    fn fill_registry(&self) {
        let mut layout = Layout::default();
        let image = layout.both("x", 1000);
        for name in [
            "k8s/kube-apiserver:v1.34.2",
            "k8s/kube-controller-manager:v1.34.2",
            "k8s/kube-scheduler:v1.34.2",
            "k8s/kube-proxy:v1.34.2",
            "k8s/etcd:3.6.5-0",
            "k8s/coredns:v1.12.1",
            "k8s/pause:3.10.1",
            "net/flannel:v0.28.9",
            "net/flannel-cni:v1",
            "mine/app:1",
            "mine/other:1",
        ] {
            self.registry.push(&layout, &image, name, "oci");
        }
    }

    /// The base as Ubuntu's are, with a link where there may be one.
    fn make_root(&self) {
        for (path, content) in images::ROOT_FILES {
            put(&self.root.join(path), content);
        }
        put(&self.root.join("var/lib/dpkg/status"), &self.status);
        put(
            &self.root.join("etc/apt/sources.list"),
            "deb http://ports.ubuntu.com/ubuntu-ports focal main\n# deb-src\n",
        );
        put(&self.root.join("etc/apt/trusted.gpg.d/odd.gpg"), "KBXf and what follows");
        put(&self.root.join("usr/share/keyrings/.keep"), "");
        fs::write(self.root.join("usr/share/keyrings/archive.gpg"), self.gpg.export("distribution")).unwrap();
        std::os::unix::fs::symlink(
            "../../../usr/share/keyrings/archive.gpg",
            self.root.join("etc/apt/trusted.gpg.d/archive.gpg"),
        )
        .unwrap();
    }

    /// The card has a key that expired some time ago.
    pub fn bake_expired_key_of_kubernetes(&mut self) {
        fs::copy(self.dir.path().join("expired.gpg"), self.dir.path().join("kubernetes.gpg")).unwrap();
    }

    pub fn registry_name(&self) -> String {
        self.registry.host()
    }

    /// Where the registry keeps all that it has.
    pub fn registry_data(&self) -> PathBuf {
        self.registry.data()
    }

    /// The folder that the repositories are in, each below its name.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// A description that has all of it, with the repositories on this server.
    pub fn description(&self, server: &str) -> String {
        let registry = self.registry.host();
        let images: Vec<_> = self.images.iter().map(|name| format!("{registry}/{name}")).collect();
        format!(
            "nodes = 2\n[image]\npreload = true\npreload-images = {images:?}\n[network.wifi]\nssid = \"home\"\npsk = \"{}\"\ncountry = \"DE\"\n\
             [kubernetes]\nversion = \"1.34\"\n\
             [kubernetes.flannel]\nimage = \"{registry}/net/flannel:v0.28.9\"\ncni-plugin-image = \"{registry}/net/flannel-cni:v1\"\n\
             [sources]\nubuntu = \"{}\"\nimage-registry = \"{registry}/k8s\"\n\
             [sources.docker]\nurl = \"{}\"\nkey-url = \"{}\"\nfingerprint = \"{}\"\n\
             [sources.kubernetes]\nurl = \"{}\"\nkey-url = \"{}\"\nkey-file = \"kubernetes.gpg\"\nfingerprint = \"{}\"\n",
            fixture::PSK,
            format_args!("{server}/distribution"),
            format_args!("{server}/docker"),
            format_args!("{server}/docker.asc"),
            self.gpg.fingerprint("docker"),
            format_args!("{server}/kubernetes/{{minor}}"),
            format_args!("{server}{KUBERNETES_KEY}"),
            self.gpg.fingerprint("kubernetes"),
        )
    }

    fn cluster(&self) -> Cluster {
        let text = self.description(&self.server.url(""));
        Cluster::parse("pibake.toml", &text, self.dir.path(), &Overrides::default())
            .unwrap_or_else(|e| panic!("{e}"))
    }

    fn recipe(&self, cluster: &Cluster, role: Role) -> Recipe {
        let extras = Extras::load(cluster).unwrap();
        let node = cluster.nodes.iter().find(|node| node.role == role).unwrap();
        recipe::recipe(cluster, &fixture::identity(), node, &Platform::named("20.04").unwrap(), &extras)
            .unwrap()
    }

    pub fn with<T>(&self, offline: bool, work: impl FnOnce(&Fetcher<'_>) -> T) -> T {
        let cache = Cache::open(&self.dir.path().join("cache")).unwrap();
        let patience = Patience { attempts: 2, stall: Duration::from_secs(20) };
        let ledger = Ledger::default();
        work(&Fetcher { offline, patience, ..Fetcher::new(&cache, &ledger) })
    }

    /// The payload of both nodes, over an image of [`Self::root`].
    pub fn payload(&self, offline: bool) -> payload::Result<Payload> {
        let base = self.dir.path().join("base");
        let _ = fs::remove_dir_all(&base);
        fs::create_dir(&base).unwrap();
        let (image, _) = Spec::default().make_from(&base, &self.root);
        let cluster = self.cluster();
        let platform = Platform::named("20.04").unwrap();
        let software = cluster.software(&platform).unwrap();
        let recipes = [Role::ControlPlane, Role::Worker].map(|role| self.recipe(&cluster, role));
        let nodes: Vec<_> = cluster.nodes.iter().zip(&recipes).collect();
        let request = Request {
            cluster: &cluster,
            software: &software,
            nodes: &nodes,
            base: &ImageReader::open(&image).unwrap(),
            credentials: &Credentials::default(),
        };
        self.with(offline, |fetcher| payload::payload(&request, fetcher))
    }

    pub fn package_names(&self, role: Role) -> Vec<String> {
        let recipe = self.recipe(&self.cluster(), role);
        let env = fixture::root_file(&recipe, "/etc/pibake/node.env");
        let words = |key: &str| {
            let line = env.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_matches('\'').split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        ["BASE_PACKAGES=", "CONTAINERD_PACKAGES=", "KUBERNETES_PACKAGES="].map(words).concat()
    }

    /// What apt on a node prefers.
    pub fn preferences(&self, role: Role) -> String {
        fixture::root_file(&self.recipe(&self.cluster(), role), "/etc/apt/preferences.d/pibake")
    }

    /// The lists of a node, as cloud-init and the recipe leave them, with keys where this machine has them.
    pub fn sources_of_a_node(&self, role: Role) -> String {
        let recipe = self.recipe(&self.cluster(), role);
        let key = |name: &str| {
            let file = self.dir.path().join(format!("{name}.of-apt.gpg"));
            fs::write(&file, self.gpg.export(name)).unwrap();
            file.display().to_string()
        };
        let of = |name: &str| {
            assert!(fixture::bytes(&recipe, Volume::Root, "/etc/apt/keyrings/docker.asc").is_none());
            let list = fixture::root_file(&recipe, &format!("/etc/apt/sources.list.d/pibake-{name}.list"));
            list.replace(&format!("/etc/apt/keyrings/{name}.asc"), &key(name))
        };
        let own = format!(
            "deb [signed-by={}] {} focal main\n",
            key("distribution"),
            self.server.url("/distribution")
        );
        own + &of("docker") + &of("kubernetes")
    }
}
