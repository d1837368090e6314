//! pibake.lock, and the folder that is carried into a closed network.

use std::fs;

use predicates::prelude::*;
use predicates::str::contains;

use super::desk::Desk;

#[test]
fn a_lock_gives_the_same_bytes_when_the_servers_have_moved_on() {
    let desk = Desk::new(64);
    let read = |path: &str| fs::read(desk.path(path)).unwrap();
    desk.pibake(&["build", "--locked"]).code(2).stderr(contains("pibake update"));
    desk.pibake(&["build", "--node", "2", "--new-cluster"])
        .success()
        .stderr(contains("pibake.lock has the digests"));
    // of all nodes, whichever are built
    let lock = fs::read_to_string(desk.path("pibake.lock")).unwrap();
    desk.pibake(&["build", "--locked"]).success();
    for words in
        ["the image ", "k8s/etcd:3.6.5-0", "the repository ", "the key ", "[packages.kubeadm]", "1.34.2-1.1"]
    {
        assert!(lock.contains(words), "{words}: {lock}");
    }
    desk.pibake(&["update"]).success().stdout(contains("is up to date"));
    assert_eq!(fs::read_to_string(desk.path("pibake.lock")).unwrap(), lock);

    desk.world.release_containerd("1.7.28-1");
    desk.world.move_tag("mine/app:1");
    for arguments in [&["build", "-o", "again"][..], &["build", "-o", "again", "--locked"]] {
        desk.pibake(arguments).success();
        for node in ["node-1", "node-2"] {
            let [one, other] = ["images", "again"].map(|dir| read(&format!("{dir}/{node}.img")));
            assert!(one == other, "{arguments:?}: the bytes of {node} differ");
        }
    }
    assert_eq!(fs::read_to_string(desk.path("pibake.lock")).unwrap(), lock);
    // what is locked is nowhere any more
    desk.pibake_with("empty", &["build", "-o", "none"])
        .code(3)
        .stderr(contains("is another one than in pibake.lock").and(contains("pibake update")));
    assert!(!desk.path("none/node-1.img").exists());

    let updated = desk.json(&["update"]);
    let changes = updated["changes"].as_array().unwrap();
    let change = |what: &str| {
        changes
            .iter()
            .find(|c| c["what"].as_str().unwrap().contains(what))
            .unwrap_or_else(|| panic!("{updated:#}"))
    };
    let of = |what: &str, when: &str| change(what)[when].as_str().unwrap().to_owned();
    assert!(of("the package containerd.io", "before").starts_with("1.7.27-1 ("));
    assert!(of("the package containerd.io", "after").starts_with("1.7.28-1 ("));
    assert!(of("mine/app:1", "before") != of("mine/app:1", "after"));
    change("the repository ");
    assert!(changes.iter().all(|c| !c["what"].as_str().unwrap().contains("kubeadm")), "{updated:#}");
    desk.pibake(&["build", "--locked", "-o", "again"]).success();
    assert!(read("again/node-2.img") != read("images/node-2.img"));
}

#[test]
fn what_the_lock_does_not_have_is_refused_or_added() {
    let desk = Desk::new(64);
    desk.pibake(&["build", "--node", "2", "--new-cluster"]).success();
    let lock = || fs::read_to_string(desk.path("pibake.lock")).unwrap();
    let before = lock();
    desk.describe(
        "/mine/app:1\"]",
        "/mine/app:1\", \"REGISTRY/net/flannel-cni:v1\", \"REGISTRY/mine/other:1\"]",
    );
    let registry = desk.world.registry_name();
    for _ in 0..2 {
        desk.describe("REGISTRY", &registry);
    }
    desk.pibake(&["build", "--node", "2", "--locked"])
        .code(2)
        .stderr(contains("pibake.lock does not have the image").and(contains("mine/other:1")));
    assert_eq!(lock(), before);
    desk.pibake(&["build", "--node", "2"]).success();
    assert!(lock().contains("mine/other:1") && !before.contains("mine/other:1"));
    desk.pibake(&["build", "--node", "2", "--locked"]).success();

    // another base than the one that is locked
    let image = desk.path("base/base.img");
    let mut bytes = fs::read(&image).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&image, bytes).unwrap();
    desk.pibake(&["build", "--node", "2", "--locked"]).code(3);
    desk.pibake(&["update"]).success().stdout(contains("the base image base.img"));
    desk.pibake(&["build", "--node", "2", "--locked"]).success();

    for damage in ["<<<<<<< ours\n", "version = 7\n"] {
        fs::write(desk.path("pibake.lock"), damage).unwrap();
        desk.pibake(&["build"]).code(2).stderr(contains("pibake.lock").and(contains("pibake update")));
    }
    desk.pibake(&["update"]).success();
    desk.describe("preload = true", "preload = false");
    desk.pibake(&["update"]).code(2).stderr(contains("nothing is preloaded"));
}

#[test]
fn a_vendored_folder_is_all_that_a_build_needs() {
    let mut desk = Desk::packed();
    desk.pibake(&["build"]).success();
    desk.pibake(&["vendor", "carry"]).success().stdout(contains("container images"));
    desk.nginx = None;
    desk.pibake_with("empty", &["build", "--vendor", "carry", "--locked", "-o", "there"]).success();
    for node in ["node-1", "node-2"] {
        let [one, other] =
            ["images", "there"].map(|dir| fs::read(desk.path(&format!("{dir}/{node}.img"))).unwrap());
        assert!(one == other, "the bytes of {node} differ");
    }
    // without the lock nobody says what the names stood for
    fs::rename(desk.path("pibake.lock"), desk.path("other.lock")).unwrap();
    desk.pibake_with("empty", &["build", "--vendor", "carry", "-o", "there"]).code(1);
    fs::rename(desk.path("other.lock"), desk.path("pibake.lock")).unwrap();

    desk.pibake(&["build", "--vendor", "images"]).code(2).stderr(contains("pibake vendor"));
    let mut files: Vec<_> =
        fs::read_dir(desk.path("carry/files")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for (file, damage) in files.iter().zip([true, false]).take(2) {
        fs::remove_file(file).unwrap();
        if damage {
            fs::write(file, "changed").unwrap();
        }
        desk.pibake_with("empty", &["build", "--vendor", "carry", "-o", "none"]).failure();
        assert!(!desk.path("none/node-1.img").exists());
    }
    // the user's own cache has it still
    desk.pibake(&["vendor", "carry", "--offline"]).success();
    desk.pibake_with("empty", &["build", "--vendor", "carry", "--locked", "-o", "there"]).success();
}
