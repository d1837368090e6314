//! `pibake restore`, and what a new card of node-1 says without it; and manifests on node-1's card.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use support::{run, tool};

struct Desk(tempfile::TempDir);

/// Exit code, standard output, standard error.
type Said = (i32, Vec<u8>, String);

impl Desk {
    /// A folder with a cluster of two nodes, of which images were made.
    fn new(description: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.path("pibake.toml"), format!("nodes = 2\n{description}")).unwrap();
        desk.well(&["build", "--base", "sample"]);
        desk
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn pibake(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.0.path()).env("XDG_CACHE_HOME", self.path("cache")).arg("--quiet");
        let out = command.args(arguments).output().unwrap();
        (out.status.code().unwrap(), out.stdout, String::from_utf8_lossy(&out.stderr).into_owned())
    }

    fn well(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.pibake(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A copy of etcd as a node makes it, of the cluster with that CA.
    fn copy(&self, name: &str, ca: &Path, kubernetes: &str) {
        let at = self.path(name);
        fs::create_dir_all(at.join("x/pki/etcd")).unwrap();
        let mut database = vec![7; 64 * 4096];
        let hash = Sha256::digest(&database);
        database.extend_from_slice(&hash);
        fs::write(at.join("x/etcd.db"), database).unwrap();
        let files =
            ["sa.key", "sa.pub", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"];
        for file in files {
            fs::write(at.join("x/pki").join(file), "-----BEGIN X-----\nAA==\n-----END X-----\n").unwrap();
        }
        let ca = hex::encode(Sha256::digest(fs::read(ca).unwrap()));
        let about = format!(
            "format=1\nnode=node-1\nmade=2026-11-26T13:12:27Z\nrevision=2\nkubernetes={kubernetes}\nca={ca}\n"
        );
        fs::write(at.join("x/about"), about).unwrap();
        let mut tar = tool("tar", "tar");
        tar.arg("-C").arg(at.join("x")).arg("-cf").arg(at.join("etcd.tar"));
        run(tar.args(["about", "etcd.db", "pki"]));
    }
}

#[test]
fn a_copy_is_baked_onto_node_1_alone_and_as_it_is() {
    let desk = Desk::new("[kubernetes]\nversion = \"1.34\"\n");
    desk.copy("backup", &desk.path(".pibake/ca.crt"), "v1.34.2");
    for copy in ["backup", "backup/etcd.tar"] {
        fs::remove_file(desk.path("images/node-1.img")).unwrap();
        desk.well(&["restore", "--base", "sample", copy]);
        let inspect = ["inspect", "images/node-1.img", "/var/lib/pibake/restore.tar.gz"];
        let (code, archive, err) = desk.pibake(&inspect);
        assert_eq!(code, 0, "{err}");
        fs::write(desk.path("archive.gz"), archive).unwrap();
        let into = desk.path("unpacked");
        let _ = fs::remove_dir_all(&into);
        fs::create_dir(&into).unwrap();
        run(tool("tar", "tar").arg("-C").arg(&into).arg("-xzf").arg(desk.path("archive.gz")));
        for file in ["etcd.db", "about", "pki/sa.key"] {
            assert!(
                fs::read(into.join(file)).unwrap() == fs::read(desk.path("backup/x").join(file)).unwrap()
            );
        }
        let listing = desk.well(&["inspect", "images/node-1.img", "/var/lib/pibake"]);
        assert!(listing.contains("restore.tar.gz") && listing.contains("0600"), "{listing}");
        // The same CA, which the other nodes trust.
        let ca = desk.well(&["inspect", "images/node-1.img", "/etc/kubernetes/pki/ca.crt"]);
        assert_eq!(ca, fs::read_to_string(desk.path(".pibake/ca.crt")).unwrap());
    }
    let (code, ..) = desk.pibake(&["inspect", "images/node-2.img", "/var/lib/pibake/restore.tar.gz"]);
    assert_ne!(code, 0);
}

#[test]
fn the_kubernetes_is_that_of_the_copy() {
    let desk = Desk::new("");
    desk.copy("older", &desk.path(".pibake/ca.crt"), "v1.33.4");
    desk.well(&["restore", "--base", "sample", "older"]);
    let list = "/etc/apt/sources.list.d/pibake-kubernetes.list";
    assert!(desk.well(&["inspect", "images/node-1.img", list]).contains("v1.33"));
    // Cards of other nodes are of the same from now on.
    desk.well(&["build", "--base", "sample", "--node", "2"]);
    assert!(desk.well(&["inspect", "images/node-2.img", list]).contains("v1.33"));
    fs::write(desk.path("pibake.toml"), "nodes = 2\n[kubernetes]\nversion = \"1.34\"\n").unwrap();
    let (code, _, err) = desk.pibake(&["restore", "--base", "sample", "older"]);
    assert!(code == 2 && err.contains("it is 1.34, and the copy of etcd is of 1.33.4"), "{code} {err}");
}

#[test]
fn what_is_no_copy_of_this_cluster_is_refused() {
    let (desk, other) = (Desk::new(""), Desk::new(""));
    desk.copy("mine", &desk.path(".pibake/ca.crt"), "v1.34.2");
    desk.copy("theirs", &other.path(".pibake/ca.crt"), "v1.34.2");
    fs::remove_file(desk.path("images/node-1.img")).unwrap();
    let whole = fs::read(desk.path("mine/etcd.tar")).unwrap();
    fs::write(desk.path("half.tar"), &whole[..whole.len() / 2]).unwrap();
    fs::write(desk.path("text"), "not a copy").unwrap();
    fs::write(desk.path("sealed.tar.gpg"), &whole).unwrap();
    for (copy, expected, why) in [
        ("theirs", 4, "is a copy of another cluster"),
        ("half.tar", 3, "is not a whole copy of etcd: it ends in the middle"),
        ("text", 3, "is not a whole copy of etcd"),
        ("sealed.tar.gpg", 3, "it is not encrypted under this cluster's key"),
        ("missing", 2, "reading missing"),
        ("images", 2, "reading images/etcd.tar"),
    ] {
        let (code, _, err) = desk.pibake(&["restore", "--base", "sample", copy]);
        assert!(code == expected && err.contains(why), "{copy}: {code} {err}");
        assert!(!desk.path("images/node-1.img").exists(), "{copy}");
    }
    // Where the secrets are lost, those beside the copy are named.
    run(tool("cp", "coreutils").arg("-a").arg(desk.path(".pibake")).arg(desk.path("mine/pibake")));
    fs::remove_dir_all(desk.path(".pibake")).unwrap();
    let (code, _, err) = desk.pibake(&["restore", "--base", "sample", "mine"]);
    assert!(code == 2 && err.contains("cp -a mine/pibake "), "{code} {err}");
    run(tool("cp", "coreutils").arg("-a").arg(desk.path("mine/pibake")).arg(desk.path(".pibake")));
    desk.well(&["restore", "--base", "sample", "mine"]);
}

#[test]
fn a_card_that_would_begin_an_empty_cluster_says_so() {
    let desk = Desk::new("");
    for (arguments, expected) in [("--node 1", true), ("--node 2", false), ("", false)] {
        let build = ["build", "--json", "--base", "sample"];
        let words: Vec<&str> = build.into_iter().chain(arguments.split_whitespace()).collect();
        let document: serde_json::Value = serde_json::from_str(&desk.well(&words)).unwrap();
        let warnings = document["warnings"].as_array().unwrap();
        let is_it = |warning: &serde_json::Value| {
            warning["kind"] == "cluster-emptied"
                && warning["text"].as_str().unwrap().contains("pibake restore")
        };
        assert_eq!(warnings.iter().any(is_it), expected, "{arguments:?}: {warnings:?}");
    }
}

#[test]
fn manifests_are_on_node_1_in_their_order() {
    let desk = Desk(tempfile::tempdir().unwrap());
    fs::create_dir_all(desk.path("manifests")).unwrap();
    let object = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {name} }}\n");
    for name in ["b", "a"] {
        fs::write(desk.path(&format!("manifests/{name}.yaml")), object(name)).unwrap();
    }
    fs::write(desk.path("manifests/README.md"), "what they are for").unwrap();
    fs::write(desk.path("last.json"), r#"{"apiVersion":"v1","kind":"Secret"}"#).unwrap();
    let text = "nodes = 2\n[kubernetes]\nmanifests = [\"last.json\", \"manifests\"]\n[kubernetes.network]\nplugin = \"none\"\n";
    fs::write(desk.path("pibake.toml"), text).unwrap();
    desk.well(&["build", "--base", "sample"]);
    let listing = desk.well(&["inspect", "images/node-1.img", "/etc/pibake/manifests"]);
    for name in ["001-last.json", "002-a.yaml", "003-b.yaml"] {
        assert!(listing.contains(name), "{listing}");
    }
    assert!(!listing.contains("README"), "{listing}");
    let file = ["inspect", "images/node-1.img", "/etc/pibake/manifests/003-b.yaml"];
    assert_eq!(desk.well(&file), object("b"));
    for (node, path) in [(1, "/etc/pibake/flannel.yaml"), (2, "/etc/pibake/manifests")] {
        let (code, ..) = desk.pibake(&["inspect", &format!("images/node-{node}.img"), path]);
        assert_ne!(code, 0, "{path}");
    }
    // What kubectl could not apply is told before anything is baked.
    for (name, text, why) in [
        ("c.yaml", "replicas: 3\n", "c.yaml: line 1: the object has no apiVersion"),
        ("c.txt", "x", "c.txt: it is no manifest by its name"),
        ("c d.yaml", "x", "it is no manifest by its name"),
    ] {
        fs::write(desk.path("manifests").join(name), text).unwrap();
        let (code, _, err) = desk.pibake(&["build", "--base", "sample"]);
        assert!(code == 2 && err.contains(why), "{name}: {code} {err}");
        fs::remove_file(desk.path("manifests").join(name)).unwrap();
    }
    fs::create_dir(desk.path("empty")).unwrap();
    fs::write(desk.path("pibake.toml"), "[kubernetes]\nmanifests = [\"empty\"]\n").unwrap();
    let (code, _, err) = desk.pibake(&["build", "--base", "sample"]);
    assert!(code == 2 && err.contains("no manifest is in it"), "{code} {err}");
}
