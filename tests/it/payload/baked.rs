//! The whole way: pibake bakes images from repositories that nginx serves and a registry that skopeo filled, and apt
//! installs from what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pibake::cluster::Role;
use pibake::disk::{FileDevice, partitions};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use support::debian::AptRoot;
use support::images::{self, Places};
use support::{run, tool};

use super::desk::Desk;
use super::names;

const PAYLOAD: &str = "/var/lib/pibake/payload";

/// The payload in an image, copied out by e2fsprogs.
fn dump(image: &Path, to: &Path) -> PathBuf {
    let device = FileDevice::open(image).unwrap();
    let (_, found) = partitions(&device).unwrap();
    let places = Places { boot: (found[0].offset, found[0].len), root: (found[1].offset, found[1].len) };
    images::assert_clean(image, places);
    let ext4 = to.join("root.ext4");
    images::extract(image, places.root, &ext4);
    let debugfs =
        |request: &str| run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&ext4).current_dir(to));
    debugfs(&format!("rdump {PAYLOAD} ."));
    for file in ["sources.list", "images.tar", "packages/Packages"] {
        let stat = debugfs(&format!("stat {PAYLOAD}/{file}"));
        assert!(stat.contains("Mode:  0644") && stat.contains("User:     0   Group:     0"), "{stat}");
    }
    fs::remove_file(ext4).unwrap();
    to.join("payload")
}

fn files_below(dir: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir_now) = left.pop() {
        for entry in fs::read_dir(dir_now).unwrap().map(|entry| entry.unwrap()) {
            match entry.file_type().unwrap().is_dir() {
                true => left.push(entry.path()),
                false => {
                    let path = entry.path();
                    let path = format!("{PAYLOAD}/{}", path.strip_prefix(dir).unwrap().display());
                    found.insert(path, entry.metadata().unwrap().len());
                }
            }
        }
    }
    found
}

#[test]
fn apt_installs_from_what_is_on_the_images_what_it_would_have_installed_from_the_servers() {
    let mut desk = Desk::new(64);
    desk.pibake(&["plan"])
        .success()
        .stdout(contains("preload  packages and container images: which they are is known once"));
    assert_eq!(desk.json(&["plan"])["preload"]["nodes"], Value::Array(Vec::new()));
    desk.pibake(&["build"]).success();

    // what a build did not fetch again
    desk.nginx = None;
    let planned = desk.json(&["plan"]);
    let of_nodes = planned["preload"]["nodes"].as_array().unwrap();
    let roles = [("node-1", Role::ControlPlane), ("node-2", Role::Worker)];
    let control_plane_images: u64 = of_nodes[0]["images"].as_u64().unwrap();
    assert_eq!((control_plane_images, &of_nodes[1]["images"]), (10, &6.into()), "{planned:#}");
    for ((name, role), of_node) in roles.iter().zip(of_nodes) {
        let work = tempfile::tempdir().unwrap();
        let payload = dump(&desk.path(&format!("images/{name}.img")), work.path());

        // plan tells of the same files
        let found = files_below(&payload);
        let changes = desk.json(&["plan", "--node", name]);
        let changes = changes["changes"].as_array().unwrap();
        let is_preloaded = |change: &&Value| {
            change["path"].as_str().unwrap().starts_with(PAYLOAD) || change["why"] == "a repository's key"
        };
        let told = changes.iter().filter(is_preloaded);
        let told = told.map(|c| (c["path"].as_str().unwrap().to_owned(), c["bytes"].as_u64().unwrap()));
        let (told, keys): (BTreeMap<_, _>, BTreeMap<_, _>) =
            told.partition(|(path, _)| path.starts_with(PAYLOAD));
        assert_eq!(told, found);
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["/etc/apt/keyrings/docker.asc"]);
        assert_eq!(of_node["node"], *name);
        assert_eq!(of_node["packages"].as_u64().unwrap() as usize, debs(&payload).len());

        // apt accepts it, and nobody answers but the disk
        let list = fs::read_to_string(payload.join("sources.list")).unwrap();
        assert!(list.contains(&format!("file:{PAYLOAD}/packages")), "{list}");
        let baked = list.replace(&format!("file:{PAYLOAD}"), &format!("file:{}", payload.display()));
        let wanted = desk.world.package_names(*role);
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let ask = |sources: &str| {
            let preferences = desk.world.preferences(*role);
            let apt = AptRoot::new("arm64", &desk.world.status, sources, &preferences);
            let updated = apt.update();
            assert!(updated.status.success(), "{}", String::from_utf8_lossy(&updated.stderr));
            apt.install(&wanted)
        };
        let (from_image, from_servers) = (ask(&baked), ask(&desk.world.sources_of_a_node(*role)));
        assert!(
            from_servers.changes.as_ref().is_some_and(|changes| changes.len() > 5),
            "{}",
            from_servers.said
        );
        assert_eq!(from_image.changes, from_servers.changes, "{}", from_image.said);

        let any_node = names(&payload.join("images.tar"));
        assert!(any_node.iter().any(|image| image.contains("/mine/app:1")), "{any_node:?}");
        assert_eq!(any_node.len(), 6);
        assert_eq!(payload.join("images-control-plane.tar").exists(), *role == Role::ControlPlane);
    }
    desk.pibake(&["plan"])
        .success()
        .stdout(contains("NEED NOT FETCH"))
        .stdout(contains("container images, below: they need"));
    desk.pibake(&["plan", "--node", "1", &format!("{PAYLOAD}/sources.list")])
        .success()
        .stdout(format!("deb [trusted=yes] file:{PAYLOAD}/packages ./\n"));
}

/// The names and versions of the packages in a payload, as dpkg reads them.
fn debs(payload: &Path) -> BTreeSet<String> {
    let debs = fs::read_dir(payload.join("packages")).unwrap().map(|entry| entry.unwrap().path());
    let debs = debs.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    debs.map(|deb| run(tool("dpkg-deb", "dpkg").arg("--show").arg(deb))).collect()
}

#[test]
fn a_node_is_the_same_alone_and_with_others_in_every_format_and_without_servers() {
    let mut desk = Desk::new(64);
    desk.pibake(&["build"]).success();
    desk.nginx = None;
    desk.pibake(&["build", "--offline", "--node", "2", "-o", "alone"]).success();
    let read = |path: &str| fs::read(desk.path(path)).unwrap();
    assert!(read("alone/node-2.img") == read("images/node-2.img"), "the bytes differ");
    for (format, file) in [("zst", "node-2.img.zst"), ("qcow2", "node-2.qcow2")] {
        desk.pibake(&["build", "--offline", "--node", "2", "-o", "alone", "--format", format]).success();
        let raw = desk.path("alone/raw");
        let file = desk.path("alone").join(file);
        match format {
            "zst" => run(tool("zstd", "zstd").arg("-dqf").arg(&file).arg("-o").arg(&raw)),
            _ => run(tool("qemu-img", "qemu-utils").args(["convert", "-O", "raw"]).arg(&file).arg(&raw)),
        };
        assert!(fs::read(&raw).unwrap() == read("images/node-2.img"), "{format}: the bytes differ");
    }
    // what is locked and in the cache is not asked for
    desk.pibake(&["build", "--node", "2", "-o", "alone"]).success();
}

#[test]
fn images_grow_by_what_is_preloaded_unless_their_size_was_asked_for() {
    let desk = Desk::new(16);
    let len = |path: &str| fs::metadata(desk.path(path)).unwrap().len();
    let base = len("base/base.img");
    let size = format!("{}M", base.div_ceil(1 << 20));
    desk.pibake(&["build", "--image-size", &size])
        .code(2)
        .stderr(contains("image.size: an image of").and(contains("free for what goes into it, and needs")));
    desk.assert_no_images();

    desk.pibake(&["build"]).success();
    let planned = desk.json(&["plan"]);
    let bytes = planned["image"]["bytes"].as_u64().unwrap();
    assert!(bytes > base, "{planned:#}");
    let needed = planned["preload"]["nodes"][0]["needed_bytes"].as_u64().unwrap();
    assert!(planned["image"]["free_bytes"].as_u64().unwrap() >= needed, "{planned:#}");
    for node in ["node-1", "node-2"] {
        assert_eq!(len(&format!("images/{node}.img")), bytes);
        let work = tempfile::tempdir().unwrap();
        assert!(dump(&desk.path(&format!("images/{node}.img")), work.path()).join("images.tar").exists());
    }
    // one that is large enough is as large as that, whatever it holds
    desk.pibake(&["build", "--image-size", "1G", "-o", "larger"]).success();
    assert_eq!(len("larger/node-1.img"), 1 << 30);
}

#[test]
fn what_cannot_be_had_leaves_no_image() {
    let mut desk = Desk::new(64);
    let description = fs::read_to_string(desk.path("pibake.toml")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(description.contains(from), "{description}");
        fs::write(desk.path("pibake.toml"), description.replace(from, to)).unwrap();
    };
    // nothing is in the cache yet
    desk.pibake(&["build", "--offline"]).code(1).stderr(contains("--offline"));
    with("preload = true", "preload = false");
    desk.pibake(&["build", "--node", "1", "-o", "plain"]).success();
    desk.pibake(&["plan", "--node", "1"]).success().stdout(contains(PAYLOAD).not());
    with("preload = true\n", "");
    desk.pibake(&["plan"]).code(2).stderr(contains("image.preload-images").and(contains("--preload")));
    with("preload-images = [", "preload-images = [\"mine/app\", ");
    desk.pibake(&["plan"]).code(2).stderr(contains("with its tag or digest"));
    with("/mine/app:1", "/mine/none:1");
    desk.pibake(&["build"]).code(1).stderr(contains("/mine/none:1"));
    fs::write(desk.path("pibake.toml"), &description).unwrap();

    desk.world.publish_docker("kubernetes");
    desk.pibake(&["build"]).code(3).stderr(contains("none of the accepted keys"));
    desk.world.publish_docker("docker");
    desk.world.publish_kubernetes(&["kubelet", "kubectl", "kubeadm"]);
    desk.pibake(&["build"]).code(2).stderr(contains("no repository has a package cri-tools"));
    desk.assert_no_images();

    desk.world.publish_kubernetes(&["kubelet", "kubectl", "kubeadm", "cri-tools"]);
    desk.pibake(&["build"]).success();
    // a cache that was changed is fetched again; without servers it is an error
    let files = fs::read_dir(desk.path("cache/pibake/files")).unwrap();
    for file in files.map(|entry| entry.unwrap().path()) {
        fs::remove_file(&file).unwrap();
        fs::write(&file, "changed").unwrap();
    }
    desk.pibake(&["build"]).success();
    desk.nginx = None;
    let files = fs::read_dir(desk.path("cache/pibake/files")).unwrap();
    for file in files.map(|entry| entry.unwrap().path()) {
        fs::remove_file(&file).unwrap();
        fs::write(&file, "changed").unwrap();
    }
    desk.pibake(&["build", "--offline", "-o", "again"]).code(1).stderr(contains("--offline"));
}

/// Files that apt on the node has in the recipe's place, and others of its own.
#[test]
fn a_key_that_was_fetched_again_takes_the_place_of_the_one_that_expired() {
    let mut desk = Desk::new(64);
    desk.world.bake_expired_key_of_kubernetes();
    desk.pibake(&["build", "--node", "2", "--new-cluster"]).success();
    let image = desk.path("images/node-2.img");
    let image = image.to_str().unwrap();
    let key = desk.pibake(&["inspect", image, "/etc/apt/keyrings/kubernetes.asc"]).success();
    let key = &key.get_output().stdout;
    let key = pibake::base::Keyring::parse(key).unwrap();
    let now = std::time::SystemTime::now();
    let release = fs::read(desk.world.folder().join("kubernetes/1.34/InRelease")).unwrap();
    key.verify_cleartext(&release, now).unwrap();
}
