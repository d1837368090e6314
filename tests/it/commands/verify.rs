//! `pibake verify` on images of the built-in sample that e2fsprogs changed behind its back.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use pibake::disk::{FileDevice, partitions};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use support::{images, run, tool};

/// A folder with a cluster and its images.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.path("pibake.toml"), "nodes = 2\nbase.image = \"sample\"\n").unwrap();
        desk.pibake(&["build"]).success();
        desk
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn pibake(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::cargo_bin("pibake").unwrap();
        let cache = self.path("cache");
        command
            .current_dir(self.0.path())
            .env("XDG_CACHE_HOME", cache)
            .env("SOURCE_DATE_EPOCH", "1700000000");
        command.args(arguments).assert()
    }

    fn verify(&self, image: &str) -> assert_cmd::assert::Assert {
        self.pibake(&["verify", image])
    }

    /// Has debugfs change the root file system of a copy of an image, which gets its bill.
    fn changed(&self, node: u32, name: &str, requests: &str) -> String {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        for file in [format!("node-{node}.img"), format!("node-{node}.spdx.json")] {
            fs::copy(self.path("images").join(&file), folder.join(&file)).unwrap();
        }
        let image = folder.join(format!("node-{node}.img"));
        let root = partitions(&FileDevice::open(&image).unwrap()).unwrap().1[1].clone();
        let (ext4, script) = (folder.join("ext4"), folder.join("script"));
        images::extract(&image, (root.offset, root.len), &ext4);
        fs::write(&script, requests).unwrap();
        run(tool("debugfs", "e2fsprogs").args(["-w", "-f"]).args([&script, &ext4]).current_dir(&folder));
        images::splice(&ext4, &image, root.offset);
        image.to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn lines(found: &assert_cmd::assert::Assert, kind: &str) -> Vec<String> {
    let text = String::from_utf8(found.get_output().stdout.clone()).unwrap();
    text.lines().filter_map(|line| line.strip_prefix(kind)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn what_was_built_is_as_it_was_baked_in_every_format() {
    let desk = Desk::new();
    desk.verify("images/node-1.img").success().stdout(contains("is node-1, as it was baked"));
    desk.verify("images/node-2.img")
        .success()
        .stdout(contains("by the description and images/node-2.spdx.json"));
    for (format, file) in [("qcow2", "node-2.qcow2"), ("zst", "node-2.img.zst")] {
        desk.pibake(&["build", "--node", "2", "-o", "other", "--format", format]).success();
        desk.verify(&format!("other/{file}")).success();
    }
    let json = desk.pibake(&["verify", "images/node-1.img", "--json"]).success();
    let json: Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(
        (&json["node"], &json["used"], &json["recipe"]),
        (&"node-1".into(), &false.into(), &true.into())
    );
    assert_eq!((&json["differences"], &json["ordinary"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert!(json["compared"].as_u64().unwrap() > 60, "{json}");
    // without a bill by the recipe, and without a description by the bill
    fs::rename(desk.path("images/node-1.spdx.json"), desk.path("moved.json")).unwrap();
    desk.verify("images/node-1.img").success().stdout(contains("there is no bill of it"));
    fs::remove_dir_all(desk.path(".pibake")).unwrap();
    desk.verify("images/node-1.img").code(2).stderr(contains("its bill with --bill"));
    desk.pibake(&["verify", "images/node-1.img", "--bill", "moved.json"])
        .success()
        .stdout(contains("not compared  links"));
}

#[test]
fn each_difference_is_named_in_a_line_of_its_own_and_no_secret_is_shown() {
    let desk = Desk::new();
    let hosts = desk.put("hosts", "127.0.0.1 localhost evil\n");
    let key = desk.put("key", "not the key\n");
    let image = desk.changed(
        1,
        "changed",
        &format!(
            "rm /etc/hosts\nwrite {hosts} /etc/hosts\nrm /etc/crictl.yaml\nsif /etc/hostname mode 0100666\n\
             sif /usr/lib/pibake/nat uid 1000\nrm /etc/kubernetes/pki/ca.key\nwrite {key} /etc/kubernetes/pki/ca.key\n\
             sif /etc/kubernetes/pki/ca.key mode 0100600\n\
             rm /etc/systemd/system/timers.target.wants/pibake-card.timer\n"
        ),
    );
    let found = desk.verify(&image).code(3).stderr(contains("is not as it was baked: 6 differences"));
    let said = lines(&found, "different");
    let has = |path: &str, what: &str| {
        let line = said.iter().find(|line| line.starts_with(&format!("{path}: ")));
        assert!(line.is_some_and(|line| line.contains(what)), "{path}: {said:#?}");
    };
    has("/etc/hosts", "its content differs from byte");
    has("/etc/crictl.yaml", "it is not there");
    has("/etc/hostname", "its mode and owner are 0666, 0:0, not 0644, 0:0");
    has("/usr/lib/pibake/nat", "1000:0");
    has("/etc/kubernetes/pki/ca.key", "its content differs");
    has("/etc/systemd/system/timers.target.wants/pibake-card.timer", "it is not there");
    assert_eq!(said.len(), 6, "{said:#?}");
    let secret = fs::read_to_string(desk.path(".pibake/ca.key")).unwrap();
    let line = secret.lines().nth(1).unwrap();
    found.stdout(contains(line).not()).stderr(contains(line).not());
    // the bill alone finds the same, but for links and secrets
    let found = desk.pibake(&["verify", &image, "--bill", "images/node-1.spdx.json"]).code(3);
    assert_eq!(lines(&found, "different").len(), 4);
}

#[test]
fn cards_of_others_and_images_that_were_cut_are_told() {
    let (desk, other) = (Desk::new(), Desk::new());
    let theirs = other.path("images/node-1.img");
    desk.verify(theirs.to_str().unwrap()).code(3).stdout(contains("it is node-1 of another cluster"));
    desk.pibake(&["verify", "images/node-2.img", "--node", "1"])
        .code(3)
        .stdout(contains("different  the image: it is of node-2, and not of node-1"));
    let wrong = ["verify", "images/node-2.img", "--bill", "images/node-1.spdx.json"];
    desk.pibake(&wrong).code(3).stdout(contains("it is of node-2, and not of node-1"));
    let cut = desk.path("cut.img");
    fs::copy(desk.path("images/node-1.img"), &cut).unwrap();
    fs::File::options().write(true).open(&cut).unwrap().set_len(300 << 20).unwrap();
    desk.verify("cut.img").code(3).stdout(contains("reaches outside the disk"));
    fs::write(desk.path("bill.json"), "{\"spdxVersion\": \"SPDX-2.3\"}").unwrap();
    desk.pibake(&["verify", "images/node-1.img", "--bill", "bill.json"])
        .code(1)
        .stderr(contains("no bill of a card"));
    desk.verify("images/node-3.img").code(2).stderr(contains("does not exist"));
    let nobody = desk.changed(1, "nobody", "rm /etc/pibake/node.env\n");
    desk.verify(&nobody).code(3).stdout(contains("name the node with --node"));
    let found = desk.pibake(&["verify", &nobody, "--node", "node-1"]).code(3);
    assert_eq!(lines(&found, "different"), ["/etc/pibake/node.env: it is not there"]);
}

#[test]
fn what_a_node_does_with_its_card_is_no_difference_from_the_stage_on_that_does_it() {
    let desk = Desk::new();
    let marker = desk.put("marker", "2026-11-23T10:07:12Z\n");
    let zeros = desk.put("zeros", &"\0".repeat(300));
    let markers = |names: &[&str]| -> String {
        let dirs = "mkdir /var/lib/pibake\nmkdir /var/lib/pibake/first-boot\n".to_owned();
        let each = names.iter().map(|name| format!("write {marker} /var/lib/pibake/first-boot/{name}\n"));
        dirs + &each.collect::<String>()
    };
    let link = "/etc/systemd/system/multi-user.target.wants/pibake-first-boot.service";
    let gone = format!("rm /etc/pibake/kubeadm.yaml\nrm {link}\n");

    let used = markers(&["tidy.started", "tidy.done", "complete"]) + &gone;
    let image = desk.changed(1, "used", &used);
    let found = desk.verify(&image).success().stdout(contains("apart from what the node did with it"));
    let said = lines(&found, "by the node");
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said.iter().any(|line| line.contains("erased once the node was in the cluster")), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("the first boot is over")), "{said:#?}");

    // zeros that a cut left, and the same before the stage began
    let cut = markers(&["tidy.started"])
        + &format!("rm /etc/pibake/kubeadm.yaml\nwrite {zeros} /etc/pibake/kubeadm.yaml\n")
        + "sif /etc/pibake/kubeadm.yaml mode 0100600\n";
    let image = desk.changed(1, "cut", &cut);
    desk.verify(&image).success().stdout(contains("by the node  /etc/pibake/kubeadm.yaml"));
    let early = markers(&["disk.done"]) + &gone;
    let image = desk.changed(1, "early", &early);
    let found = desk.verify(&image).code(3);
    assert_eq!(lines(&found, "different").len(), 2);
    // and what no stage does is a difference on a used card, too
    let image = desk.changed(1, "harmed", &(used + "rm /usr/lib/pibake/certificates\n"));
    let found = desk.verify(&image).code(3);
    assert_eq!(lines(&found, "different"), ["/usr/lib/pibake/certificates: it is not there"]);
}

#[test]
fn a_command_line_without_its_arguments_is_named_by_them() {
    let desk = Desk::new();
    let image = desk.path("images/node-1.img");
    let boot = partitions(&FileDevice::open(&image).unwrap()).unwrap().1[0].clone();
    let fat = desk.path("fat");
    images::extract(&image, (boot.offset, boot.len), &fat);
    let line = desk.put("line", "root=LABEL=writable rootwait splash\n");
    run(tool("mcopy", "mtools").args(["-o", "-i"]).arg(&fat).arg(&line).arg("::/cmdline.txt"));
    images::splice(&fat, &image, boot.offset);
    let found = desk.verify("images/node-1.img").code(3);
    let said = lines(&found, "different");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("it lacks cgroup_memory=1") && said[0].contains("SHA-256"), "{said:#?}");
}

#[test]
fn nothing_is_made_where_there_are_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new();
    fs::copy(desk.path("images/node-1.img"), dir.path().join("node-1.img")).unwrap();
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.current_dir(dir.path()).env("XDG_CACHE_HOME", dir.path().join("cache"));
    command.args(["verify", "node-1.img"]).assert().code(2);
    assert!(!Path::new(&dir.path().join(".pibake")).exists());
}
