//! The archive, imported by a real containerd.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::fetching::sha256;
use support::{run, tool_path};

use super::Machine;
use super::layout::{Layout, digest};
use super::registry::{Filled, Registry};

/// A containerd of a test's own, for as long as it is held.
struct Containerd {
    child: Child,
    ctr: PathBuf,
    dir: tempfile::TempDir,
}

impl Containerd {
    fn start(folder: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\"]\n\
             [grpc]\naddress = {:?}\nuid = {}\ngid = {}\n",
            at("root"),
            at("state"),
            at("sock"),
            me.0,
            me.1
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        // It must not outlive a test that is killed.
        let child = support::tool("setpriv", "util-linux")
            .args(["--pdeathsig", "KILL"])
            .arg(folder.join("containerd"))
            .arg("--config")
            .arg(dir.path().join("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let containerd = Self { child, ctr: folder.join("ctr"), dir };
        let end = Instant::now() + Duration::from_secs(60);
        while !containerd.ctr().arg("version").output().unwrap().status.success() {
            let log = || std::fs::read_to_string(containerd.dir.path().join("log")).unwrap();
            assert!(Instant::now() < end, "containerd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        containerd
    }

    /// ctr, as first boot calls it.
    fn ctr(&self) -> Command {
        let mut ctr = Command::new(&self.ctr);
        ctr.arg("--address").arg(self.dir.path().join("sock")).args(["--namespace", "k8s.io"]);
        ctr
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where programs of containerd are: those of Debian, and those in the folders of `PIBAKE_CONTAINERDS`, as in PATH.
fn generations() -> Vec<PathBuf> {
    let debian = tool_path("containerd", "containerd").parent().unwrap().to_owned();
    let others = std::env::var_os("PIBAKE_CONTAINERDS").unwrap_or_default();
    [debian].into_iter().chain(std::env::split_paths(&others).filter(|dir| dir.is_absolute())).collect()
}

#[test]
fn containerd_imports_the_archive_under_the_names_that_kubelet_asks_for() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let shared = layout.layer("shared", 100_000);
    let own = layout.layer("own", 1000);
    let arm = layout.image("linux/arm64", &[shared.clone(), own]);
    let intel = layout.image("linux/amd64", std::slice::from_ref(&shared));
    let index = layout.index(&[("linux/amd64", &intel), ("linux/arm64/v8", &arm)]);
    registry.push(&layout, &index, "kube-proxy:v1.34.1", "oci");
    registry.push(&layout, &index, "coredns/coredns:v1.12.1", "v2s2");
    registry.push(&layout, &arm, "library/busybox:latest", "v2s2");
    let mirror = [format!("http://{}", registry.host())];
    let machine = Machine::new().mirror("registry.k8s.io", &mirror).mirror("docker.io", &mirror);
    let pinned = format!("registry.k8s.io/kube-proxy@{}", digest(&index));
    let images = machine
        .pull(&[
            "busybox",
            "registry.k8s.io/kube-proxy:v1.34.1",
            "registry.k8s.io/coredns/coredns:v1.12.1",
            &pinned,
        ])
        .unwrap();
    let archive = machine.archive(&images);
    let names: BTreeSet<&str> = [
        "docker.io/library/busybox:latest",
        "registry.k8s.io/kube-proxy:v1.34.1",
        "registry.k8s.io/coredns/coredns:v1.12.1",
        &pinned,
    ]
    .into();
    for folder in generations() {
        let containerd = Containerd::start(&folder);
        let version = run(containerd.ctr().arg("--version"));
        // unpacking mounts, which takes root and a file system that overlays may lie on
        let plugins = run(containerd.ctr().args(["plugins", "list"]));
        let overlays = plugins.lines().find(|line| line.contains(" overlayfs ")).unwrap();
        let unpacks = overlays.trim_end().ends_with("ok");
        let import = |containerd: &Containerd| {
            let flags: &[&str] = if unpacks { &[] } else { &["--no-unpack"] };
            run(containerd.ctr().args(["images", "import"]).args(flags).arg(&archive));
        };
        import(&containerd);
        if unpacks {
            let snapshots = run(containerd.ctr().args(["snapshots", "list"]));
            assert_eq!(snapshots.lines().count(), 1 + 2, "{version}: {snapshots}");
        }
        let listed = run(containerd.ctr().args(["images", "list", "--quiet"]));
        assert_eq!(listed.lines().collect::<BTreeSet<_>>(), names, "{version}");
        // all of each is there: what a node would otherwise fetch
        for image in &images {
            let check = run(containerd.ctr().args(["images", "list", &format!("name=={}", image.name)]));
            assert!(check.contains(&format!("sha256:{}", image.manifest.digest)), "{version}: {check}");
            for blob in image.blobs() {
                let name = format!("sha256:{}", blob.digest);
                let content = containerd.ctr().args(["content", "get", &name]).output().unwrap();
                assert!(content.status.success(), "{version}: {name} of {} is missing", image.name);
                assert_eq!(sha256(&content.stdout), blob.digest.to_string());
            }
        }
        // an import that was cut off by a loss of power is simply done again
        import(&containerd);
        let again = run(containerd.ctr().args(["images", "list", "--quiet"]));
        assert_eq!(again, listed, "{version}");
    }
}

#[test]
fn skopeo_finds_the_images_by_their_tags() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let image = layout.both("x", 1000);
    let name = registry.push(&layout, &image, "x:v1", "oci");
    let machine = Machine::new();
    let images = machine.pull(&[&name]).unwrap();
    let archive = machine.archive(&images);
    let mut skopeo = support::tool("skopeo", "skopeo");
    let said = run(skopeo
        .args(["--insecure-policy", "--override-os", "linux", "--override-arch", "arm64", "inspect"])
        .arg(format!("oci-archive:{}:v1", archive.display())));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["Architecture"], "arm64");
    assert_eq!(said["Digest"], format!("sha256:{}", images[0].manifest.digest));
}
