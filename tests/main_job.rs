//! The main job from one end to the other: an image that boots is fetched from a web server,
//! verified, and baked into one image a node.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use pibake::disk::{FileDevice, partitions};
use serde_json::Value;
use support::images::{self, Places};
use support::standin::Mirror;
use support::{run, tool};

fn pibake(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache"));
    command.env("SOURCE_DATE_EPOCH", "1700000000").args(arguments);
    command
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn places(image: &Path) -> Places {
    let device = FileDevice::open(image).unwrap();
    let (_, found) = partitions(&device).unwrap();
    Places { boot: (found[0].offset, found[0].len), root: (found[1].offset, found[1].len) }
}

/// The partitions of an image as files, for programs that read nothing else.
struct Parts {
    boot: PathBuf,
    root: PathBuf,
    _work: tempfile::TempDir,
}

impl Parts {
    fn of(image: &Path) -> Self {
        let work = tempfile::tempdir().unwrap();
        let (boot, root) = (work.path().join("p1"), work.path().join("p2"));
        let places = places(image);
        images::extract(image, places.boot, &boot);
        images::extract(image, places.root, &root);
        run(tool("fsck.fat", "dosfstools").arg("-n").arg(&boot));
        run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(&root));
        Self { boot, root, _work: work }
    }

    fn boot_file(&self, path: &str) -> String {
        run(tool("mtype", "mtools").arg("-i").arg(&self.boot).arg(format!("::{path}")))
    }

    fn debugfs(&self, request: &str) -> String {
        run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&self.root))
    }

    fn root_file(&self, path: &str) -> String {
        self.debugfs(&format!("cat {path}"))
    }
}

/// Each file that `plan` names, with the text that it shows: partition, path, text.
fn planned(dir: &Path, node: &str) -> Vec<(String, String, String)> {
    let plan = stdout(&mut pibake(dir, &["plan", "--json", "--node", node]));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["what"] == "file")
        .map(|line| {
            let path = field(line, "path");
            let text = stdout(&mut pibake(dir, &["plan", "--node", node, &path]));
            (field(line, "partition"), path, text)
        })
        .collect()
}

#[test]
fn a_signed_base_becomes_four_nodes() {
    let mirror = Mirror::start();
    let work = tempfile::tempdir().unwrap();
    let dir = work.path();
    mirror.write_description(dir, "");

    let table = stdout(&mut pibake(dir, &["build", "--nodes", "4"]));
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 6, "{table}");
    assert_eq!(lines[5][..3], ["base", "image", "20.04.5,"], "{table}");
    for (n, line) in lines[..5].iter().enumerate().skip(1) {
        let role = if n == 1 { "control-plane" } else { "worker" };
        let (name, address, image) =
            (format!("node-{n}"), format!("10.0.0.{n}"), format!("images/node-{n}.img"));
        assert_eq!(line[..4], [name.as_str(), role, &address, &image], "{table}");
    }
    let asked = mirror.server.requests();
    for name in ["SHA256SUMS", "SHA256SUMS.gpg", "ubuntu-20.04.5-preinstalled-server-arm64+raspi.img.xz"] {
        let all = asked.iter().filter(|a| a.ends_with(&format!("/release/{name} 200"))).count();
        assert_eq!(all, 1, "{name} was fetched {all} times: {asked:?}");
    }

    let (mut ids, mut roots) = (BTreeSet::new(), BTreeSet::new());
    for n in 1..=4 {
        let node = format!("node-{n}");
        let parts = Parts::of(&dir.join(format!("images/{node}.img")));
        for (partition, path, text) in planned(dir, &node) {
            let baked =
                if partition == "system-boot" { parts.boot_file(&path) } else { parts.root_file(&path) };
            // meta-data: the instance's id follows from the very bytes that are baked
            if path == "/meta-data" {
                assert!(baked.contains(&format!("local-hostname: \"{node}\"")), "{baked}");
                let id = baked.lines().find_map(|l| l.strip_prefix("instance-id: ")).unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is the id of two nodes");
                continue;
            }
            assert!(support::plan::shows(&text, &baked), "{node}: {path} should be\n{text}\nand is\n{baked}");
        }
        assert_eq!(parts.root_file("/etc/hostname"), format!("{node}\n"));
        assert_eq!(parts.root_file("/etc/machine-id"), "");
        let hosts = parts.root_file("/etc/hosts");
        for other in 1..=4 {
            let entry = format!("10.0.0.{other} node-{other}.cluster.home node-{other}");
            let has = |l: &str| l.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(&entry);
            assert!(hosts.lines().any(has), "{entry} is not in\n{hosts}");
        }
        assert!(parts.root_file("/etc/netplan/50-cloud-init.yaml").contains("\"eth0\":"));
        assert!(parts.debugfs("stat /etc/netplan/50-cloud-init.yaml").contains("Mode:  0600"));
        let line = parts.boot_file("cmdline.txt");
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(line.contains("cgroup_enable=memory"), "{line}");
        // each its own
        let root = line.split_whitespace().find_map(|word| word.strip_prefix("root=PARTUUID="));
        let root = root.unwrap_or_else(|| panic!("{line}"));
        assert!(roots.insert(root.to_owned()), "{roots:?}");
        assert!(parts.root_file("/etc/fstab").contains(&format!("PARTUUID={root}")), "{root}");
        assert!(!parts.boot_file("user-data").contains("ubuntu:ubuntu"));
        let secret = |name: &str| std::fs::read_to_string(dir.join(".pibake").join(name)).unwrap();
        let tokens = secret("token");
        let own = tokens.lines().nth(if n == 1 { 1 } else { n as usize - 1 }).unwrap();
        assert!(parts.root_file("/etc/pibake/kubeadm.yaml").contains(own));
        // the key that signs certificates is on the control plane alone
        let ca_key = parts.debugfs("stat /etc/kubernetes/pki/ca.key");
        assert_eq!(ca_key.contains("Mode:  0600"), n == 1, "{node}: {ca_key}");
        if n == 1 {
            assert_eq!(parts.root_file("/etc/kubernetes/pki/ca.key"), secret("ca.key"));
        }
    }
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    let mirror = Mirror::start();
    let work = tempfile::tempdir().unwrap();
    let dir = work.path();
    mirror.write_description(dir, "");
    stdout(&mut pibake(dir, &["build", "--nodes", "2", "-o", "first"]));
    // from the cache
    stdout(&mut pibake(dir, &["build", "--nodes", "2", "-o", "second", "--offline"]));
    // in another place, with nothing cached, one at a time
    let other = tempfile::tempdir().unwrap();
    mirror.write_description(other.path(), "");
    run(tool("cp", "coreutils").arg("-a").arg(dir.join(".pibake")).arg(other.path()));
    stdout(&mut pibake(other.path(), &["build", "--nodes", "2", "--jobs", "1", "-o", "third"]));
    for n in 1..=2 {
        let image = |dir: &Path, folder: &str| dir.join(format!("{folder}/node-{n}.img"));
        for again in [image(dir, "second"), image(other.path(), "third")] {
            run(tool("cmp", "diffutils").arg(image(dir, "first")).arg(again));
        }
    }
}
