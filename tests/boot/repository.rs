//! Signed apt repositories with what a node installs at its first boot: Debian's packages that lie
//! beside the stand-in, and recorders in the place of Kubernetes' own programs.
#![allow(dead_code)] // each test binary uses its own part

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::debian::{pack, packages, release};
use support::gpg::{Gpg, pipe};
use support::images::put;
use support::standin::Age;
use support::{run, tool};

/// The versions that the description's lines of versions choose.
pub const KUBERNETES: &str = "1.34.2-1.1";
pub const CONTAINERD: &str = "1.7.28-1";

pub struct Repositories {
    root: tempfile::TempDir,
    gpg: Gpg,
    fingerprint: String,
}

impl Repositories {
    /// Three: the distribution's (`mirror`), Docker's (`docker`) with this version of containerd.io,
    /// and Kubernetes' (`kubernetes`), whose pool is filled as told. For nodes of that age.
    pub fn make(age: &Age, containerd_version: &str, fill_kubernetes: impl FnOnce(&Path)) -> Self {
        let gpg = Gpg::new();
        let fingerprint = gpg.key("packages", "rsa3072", "sign", "never", None);
        let made = Self { root: tempfile::tempdir().unwrap(), gpg, fingerprint };
        let of = |name: &str| made.root.path().join(name);
        for repository in ["mirror", "docker", "kubernetes"] {
            fs::create_dir_all(of(repository).join("pool")).unwrap();
        }
        let debs = debs(age);
        distribution(&debs, &of("mirror/pool"));
        containerd(&debs, &of("docker/pool"), containerd_version);
        fill_kubernetes(&of("kubernetes/pool"));
        for suite in age.suites {
            // the package lists of updates and the like are empty
            let pool = if suite == age.codename { "pool" } else { "none" };
            made.suite(&of("mirror"), suite, "main", pool);
        }
        made.suite(&of("docker"), age.docker_suite, "stable", "pool");
        made.flat(&of("kubernetes"));
        made
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The key that signs all of them.
    pub fn key(&self) -> Vec<u8> {
        self.gpg.export("packages")
    }

    pub fn fingerprint(&self) -> String {
        self.fingerprint.to_uppercase()
    }

    /// `dists/SUITE/COMPONENT/binary-arm64/Packages` of what is in the folder `pool`.
    fn suite(&self, repository: &Path, suite: &str, component: &str, pool: &str) {
        fs::create_dir_all(repository.join(pool)).unwrap();
        let dist = repository.join("dists").join(suite);
        put(&dist.join(component).join("binary-arm64/Packages"), &packages(repository, pool));
        let fields =
            [("Suite", suite), ("Codename", suite), ("Components", component), ("Architectures", "arm64")];
        self.release(&dist, &fields);
    }

    /// A repository without suites, as Kubernetes' are.
    fn flat(&self, repository: &Path) {
        put(&repository.join("Packages"), &packages(repository, "pool"));
        self.release(repository, &[("Architectures", "arm64")]);
    }

    fn release(&self, dir: &Path, fields: &[(&str, &str)]) {
        let named = [("Origin", "test"), ("Label", "test")];
        let release = release(dir, &[&named[..], fields].concat());
        let signed =
            pipe(self.gpg.command().args(["--local-user", "packages", "--clearsign"]), release.as_bytes());
        fs::write(dir.join("InRelease"), signed).unwrap();
    }
}

/// Debian's own packages, all but containerd.
fn distribution(debs: &[PathBuf], pool: &Path) {
    for deb in debs {
        let name = deb.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("containerd_") {
            // apt's downloads have the epoch's colon escaped, and a URL would need that twice
            fs::copy(deb, pool.join(name.replace("%3a", "_"))).unwrap();
        }
    }
}

fn debs(age: &Age) -> Vec<PathBuf> {
    let dir = age.dir().join("debs");
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Debian's containerd under the name that Docker's has, packed so that it is quickly unpacked.
fn containerd(debs: &[PathBuf], pool: &Path, version: &str) {
    let deb = debs.iter().find(|deb| deb.to_str().unwrap().contains("/containerd_")).unwrap();
    let work = tempfile::tempdir().unwrap();
    let tree = work.path().join("tree");
    run(tool("dpkg-deb", "dpkg").arg("--raw-extract").arg(deb).arg(&tree));
    let control = fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let changed = control.lines().map(|line| match line.split_once(": ") {
        Some(("Package", _)) => {
            "Package: containerd.io\nProvides: containerd\nConflicts: containerd".to_owned()
        }
        Some(("Version", _)) => format!("Version: {version}"),
        _ => line.to_owned(),
    });
    let changed: Vec<String> = changed.collect();
    fs::write(tree.join("DEBIAN/control"), changed.join("\n") + "\n").unwrap();
    pack(&tree, pool);
}

/// Where a file lands, what it is made of, and its mode.
type Installed = (&'static str, &'static str, u32);

/// kubelet, kubeadm, kubectl and cri-tools, which note how they are called and do what first boot can see.
pub fn recorders(pool: &Path) {
    let file = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/packages").join(name);
        fs::read_to_string(path).unwrap()
    };
    // What the real ones of 1.32 and later depend on: it is not what they need.
    let contents: [(&str, &str, &[Installed]); 5] = [
        (
            "kubelet",
            "Depends: iptables, kubernetes-cni (>= 1.2.0), mount, util-linux, libc6\n",
            &[
                ("usr/bin/kubelet", "kubelet", 0o755),
                ("lib/systemd/system/kubelet.service", "kubelet.service", 0o644),
                ("usr/lib/recorder/api.py", "api.py", 0o755),
                ("etc/kubernetes/manifests/.kubelet-keep", "", 0o644),
                ("var/lib/kubelet/.kubelet-keep", "", 0o644),
            ],
        ),
        (
            "kubeadm",
            "",
            &[
                ("usr/bin/kubeadm", "kubeadm", 0o755),
                ("usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", "10-kubeadm.conf", 0o644),
            ],
        ),
        ("kubectl", "", &[("usr/bin/kubectl", "kubectl", 0o755)]),
        ("kubernetes-cni", "", &[]),
        ("cri-tools", "", &[]),
    ];
    for (name, depends, files) in contents {
        let work = tempfile::tempdir().unwrap();
        let tree = work.path().join("tree");
        for (path, source, mode) in files {
            put(&tree.join(path), &if source.is_empty() { String::new() } else { file(source) });
            fs::set_permissions(tree.join(path), fs::Permissions::from_mode(*mode)).unwrap();
        }
        let control = format!(
            "Package: {name}\nVersion: {KUBERNETES}\nArchitecture: arm64\nMaintainer: the tests <root@localhost>\n\
             {depends}Description: stands in for {name} in tests\n"
        );
        put(&tree.join("DEBIAN/control"), &control);
        if name == "kubelet" {
            // as debhelper's do: it is started before kubeadm and its drop-in are there
            let postinst = "#!/bin/sh\nset -e\nsystemctl daemon-reload\nsystemctl enable kubelet\nsystemctl start --no-block kubelet\n";
            put(&tree.join("DEBIAN/postinst"), postinst);
            fs::set_permissions(tree.join("DEBIAN/postinst"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        pack(&tree, pool);
    }
}
