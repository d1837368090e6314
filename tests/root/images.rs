//! Container images over a power cut, with a real containerd: what is left on the disk after one, and
//! what /usr/lib/pibake/images makes of that.
//!
//! containerd's folders are on a file system of their own, on a loop device. What that has written to
//! its file by the time that it is copied is what a disk has when the power goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::json;
use sha2::{Digest, Sha256};

use support::images::put;
use support::{run, tool};

const IMAGE: &str = "docker.io/library/x:1";

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(format!("images::{name}"), move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    };
    vec![
        trial("files_that_a_cut_emptied_are_unpacked_again", emptied_files),
        trial("what_was_noted_before_a_cut_is_whole_and_not_looked_at", noted),
        trial("an_image_with_a_damaged_layer_is_pulled_again", damaged_layer),
        trial("what_is_unpacked_is_noted_at_once", watched),
    ]
}

/// A layer as it is pulled: files by name.
type Layer = &'static [(&'static str, usize)];

/// The second takes a file of the first away.
const LAYERS: [Layer; 2] = [
    &[("bin/busybox", 3_000_000), ("etc/old", 6), ("etc/with blanks", 70_000)],
    &[("etc/new", 90_000), ("etc/.wh.old", 0)],
];

fn content(name: &str, len: usize) -> Vec<u8> {
    support::noise::bytes(name.bytes().map(u64::from).sum(), len)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn tar(folder: &Path) -> Vec<u8> {
    let mut command = tool("tar", "tar");
    let out =
        command.args(["--create", "--sort=name", "--mtime=@0", "--directory"]).arg(folder).arg(".").output();
    out.unwrap().stdout
}

/// An OCI layout in an archive, as `ctr images import` takes it. Returns the digests of its layers.
fn archive(dir: &Path) -> (PathBuf, Vec<String>) {
    let layout = dir.join("layout");
    let blob = |bytes: &[u8]| {
        let digest = digest(bytes);
        let place = layout.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
        digest
    };
    let (mut unpacked, mut layers) = (Vec::new(), Vec::new());
    for (n, files) in LAYERS.iter().enumerate() {
        let folder = dir.join(format!("layer-{n}"));
        for (name, len) in *files {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), content(name, *len)).unwrap();
        }
        let whole = tar(&folder);
        unpacked.push(digest(&whole));
        fs::write(dir.join("layer.tar"), &whole).unwrap();
        // One is packed and one is not: both are allowed.
        let (pulled, kind) = if n == 0 {
            let packed = tool("gzip", "gzip").arg("-nc").arg(dir.join("layer.tar")).output().unwrap().stdout;
            (packed, "application/vnd.oci.image.layer.v1.tar+gzip")
        } else {
            (whole, "application/vnd.oci.image.layer.v1.tar")
        };
        layers.push(json!({"mediaType": kind, "digest": blob(&pulled), "size": pulled.len()}));
    }
    let architecture = run(tool("dpkg", "dpkg").arg("--print-architecture")).trim().to_owned();
    let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/busybox"]},
        "rootfs": {"type": "layers", "diff_ids": unpacked}});
    let config = config.to_string();
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob(config.as_bytes()),
            "size": config.len()},
        "layers": layers});
    let manifest = manifest.to_string();
    let index = json!({"schemaVersion": 2, "manifests": [{"digest": blob(manifest.as_bytes()), "size": manifest.len(),
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "annotations": {"io.containerd.image.name": IMAGE, "org.opencontainers.image.ref.name": "1"}}]});
    put(&layout.join("index.json"), &index.to_string());
    put(&layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    let file = dir.join("image.tar");
    fs::write(&file, tar(&layout)).unwrap();
    (file, layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect())
}

/// A disk that containerd's folders and pibake's are on.
pub struct Disk {
    dir: tempfile::TempDir,
    file: PathBuf,
    mounted: PathBuf,
    containerd: Option<Child>,
}

impl Disk {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disk");
        fs::File::create(&file).unwrap().set_len(200 << 20).unwrap();
        run(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-F"]).arg(&file));
        Self::on(dir, file)
    }

    fn on(dir: tempfile::TempDir, file: PathBuf) -> Self {
        let mounted = dir.path().join("root");
        fs::create_dir(&mounted).unwrap();
        run(tool("mount", "mount").args(["-o", "loop"]).arg(&file).arg(&mounted));
        let mut disk = Self { dir, file, mounted, containerd: None };
        disk.start();
        disk
    }

    fn start(&mut self) {
        let place = |name: &str| self.dir.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            self.mounted.join("var/lib/containerd"),
            place("state"),
            place("socket"),
        );
        put(&self.dir.path().join("config.toml"), &config);
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = tool("containerd", "containerd");
        command.arg("--config").arg(self.dir.path().join("config.toml"));
        self.containerd = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let up = || self.ctr_command(&["namespaces", "ls"]).output().unwrap().status.success();
        within(&format!("containerd to start: {}", place("log")), up);
    }

    fn stop(&mut self) {
        if let Some(mut containerd) = self.containerd.take() {
            _ = containerd.kill();
            _ = containerd.wait();
        }
        if self.file.exists() {
            _ = tool("umount", "mount").arg("--lazy").arg(&self.mounted).output();
        }
    }

    /// The power is cut: a machine with what the disk has at this moment, switched on again.
    fn cut(mut self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disk");
        run(tool("cp", "coreutils").arg("--sparse=always").arg(&self.file).arg(&file));
        self.stop();
        Self::on(dir, file)
    }

    pub fn ctr_command(&self, arguments: &[&str]) -> Command {
        let mut command = tool("ctr", "containerd");
        command.env("CONTAINERD_ADDRESS", self.dir.path().join("socket"));
        command.args(["--namespace", "k8s.io"]).args(arguments);
        command
    }

    fn ctr(&self, arguments: &[&str]) -> String {
        run(&mut self.ctr_command(arguments))
    }

    fn import(&self) -> Vec<String> {
        let (file, layers) = archive(self.dir.path());
        self.ctr(&["images", "import", file.to_str().unwrap()]);
        layers
    }

    fn images_command(&self, verb: &str) -> Command {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays/common/usr/lib/pibake/images");
        let mut command = tool("sh", "dash");
        command.arg(program).arg(verb);
        command.env("PIBAKE_ROOT", &self.mounted).env("CONTAINERD_ADDRESS", self.dir.path().join("socket"));
        command
    }

    /// Runs the program and returns what it said.
    fn images(&self, verb: &str) -> String {
        run(&mut self.images_command(verb))
    }

    fn layers(&self) -> usize {
        self.ctr(&["snapshots", "ls"]).matches(" Committed").count()
    }

    fn noted(&self) -> usize {
        let whole = fs::read_to_string(self.mounted.join("var/lib/pibake/images/whole"));
        whole.map_or(0, |text| text.lines().filter(|line| line.starts_with("sha256:")).count())
    }

    /// A file of what is unpacked, in whichever layer it is.
    fn unpacked(&self, name: &str) -> Option<Vec<u8>> {
        let snapshots =
            self.mounted.join("var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots");
        let folders = fs::read_dir(snapshots).unwrap().map(|entry| entry.unwrap().path());
        folders.map(|folder| folder.join("fs").join(name)).find_map(|file| fs::read(file).ok())
    }

    fn assert_whole(&self) {
        for (name, len) in LAYERS.iter().copied().flatten().filter(|(name, _)| !name.contains(".wh.")) {
            assert!(self.unpacked(name) == Some(content(name, *len)), "{name}");
        }
    }

    /// As the CRI plugin does where what is unpacked is not there: from what was pulled.
    fn unpack_again(&self) {
        let place = self.dir.path().join("looked-at");
        fs::create_dir(&place).unwrap();
        self.ctr(&["images", "mount", IMAGE, place.to_str().unwrap()]);
        run(tool("umount", "mount").arg(&place));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn within(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(240);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn emptied_files() {
    let disk = Disk::new();
    disk.import();
    disk.ctr(&["containers", "create", IMAGE, "a-container"]);
    let disk = disk.cut();
    assert_eq!(disk.layers(), 2, "containerd takes the layers for whole");
    assert_eq!(
        disk.unpacked("bin/busybox"),
        Some(Vec::new()),
        "this disk loses nothing: the test shows nothing"
    );

    let said = disk.images("check");
    assert!(said.contains("bin/busybox: Size differs") && !said.contains(".wh."), "{said}");
    assert_eq!(disk.layers(), 0);
    within("the collection of what is left", || disk.unpacked("bin/busybox").is_none());
    assert!(!disk.ctr(&["containers", "ls"]).contains("a-container"), "what stood on it");
    assert!(disk.ctr(&["images", "ls"]).contains(IMAGE), "the image itself is whole");

    disk.unpack_again();
    disk.assert_whole();
    assert_eq!(disk.images("check"), "", "nothing is wrong any more");
    assert_eq!(disk.layers(), 2);
}

fn noted() {
    let disk = Disk::new();
    disk.import();
    disk.images("note");
    assert_eq!(disk.noted(), 2);
    let disk = disk.cut();
    disk.assert_whole();
    // Not looked at: it would be taken away otherwise.
    fs::remove_dir_all(disk.mounted.join("var/lib/containerd/io.containerd.content.v1.content/blobs"))
        .unwrap();
    assert_eq!(disk.images("check"), "");
    assert_eq!((disk.layers(), disk.noted()), (2, 2));
}

fn damaged_layer() {
    let disk = Disk::new();
    let layers = disk.import();
    let blob = layers[0].strip_prefix("sha256:").unwrap();
    let blob =
        disk.mounted.join("var/lib/containerd/io.containerd.content.v1.content/blobs/sha256").join(blob);
    fs::write(blob, b"").unwrap();
    let said = disk.images("check");
    assert!(said.contains(&format!("{} is damaged", layers[0])), "{said}");
    assert!(!disk.ctr(&["images", "ls"]).contains(IMAGE));
    assert_eq!(disk.layers(), 0);
    // What "pulled again" is here.
    disk.ctr(&["images", "import", disk.dir.path().join("image.tar").to_str().unwrap()]);
    disk.assert_whole();
    assert_eq!(disk.images("check"), "");
}

fn watched() {
    let mut disk = Disk::new();
    let mut watching = disk.images_command("watch").spawn().unwrap();
    let notes = disk.mounted.join("var/lib/pibake/images/whole");
    within("its first note", || notes.exists());
    assert_eq!(disk.noted(), 0);
    disk.import();
    within("a note of the image", || disk.noted() == 2);
    // It ends with containerd, and is then started again by systemd.
    let mut containerd = disk.containerd.take().unwrap();
    containerd.kill().unwrap();
    containerd.wait().unwrap();
    within("its end", || watching.try_wait().unwrap().is_some());
}
