//! `pibake build` on the built-in sample: whole images, clean file systems, the same bytes each time.

mod support;

use std::path::Path;

use assert_cmd::Command;
use pibake::disk::{FileDevice, partitions};
use predicates::str::contains;
use support::images::{self, Places};

fn pibake(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
    command.args(arguments).assert()
}

fn places(image: &Path) -> Places {
    let device = FileDevice::open_read_only(image).unwrap();
    let (_, found) = partitions(&device).unwrap();
    Places { boot: (found[0].offset, found[0].len), root: (found[1].offset, found[1].len) }
}

#[test]
fn four_nodes_of_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    pibake(dir.path(), &["build", "--base", "sample"])
        .success()
        .stdout(contains("node-4  worker         10.0.0.4  images/node-4.img"))
        .stdout(contains("does not boot"));
    for n in 1..=4 {
        let image = dir.path().join(format!("images/node-{n}.img"));
        images::assert_clean(&image, places(&image));
        pibake(dir.path(), &["inspect", image.to_str().unwrap(), "/etc/hostname"])
            .success()
            .stdout(format!("node-{n}\n"));
    }
    // the same once more, from the cache, into another folder, and one node alone
    pibake(dir.path(), &["build", "--base", "sample", "--node", "2", "-o", "again", "--offline"]).success();
    assert_eq!(std::fs::read_dir(dir.path().join("again")).unwrap().count(), 1);
    let read = |path: &str| std::fs::read(dir.path().join(path)).unwrap();
    assert!(read("again/node-2.img") == read("images/node-2.img"), "the bytes differ");
    // a fifth node joins the same cluster
    let token = read(".pibake/token");
    pibake(dir.path(), &["build", "--base", "sample", "--nodes", "5", "--node", "node-5"]).success();
    assert_eq!(read(".pibake/token"), token);
    pibake(dir.path(), &["build", "--base", "sample", "--node", "1", "--format", "qcow2"]).success();
    let check = support::tool("qemu-img", "qemu-utils")
        .arg("check")
        .arg(dir.path().join("images/node-1.qcow2"))
        .output();
    assert!(check.unwrap().status.success());
}

#[test]
fn what_cannot_be_built_leaves_no_image() {
    let dir = tempfile::tempdir().unwrap();
    pibake(dir.path(), &["build", "--base", "samlpe"]).code(2).stderr(contains("did you mean sample"));
    pibake(dir.path(), &["build", "--base", "sample", "--node", "9"])
        .code(2)
        .stderr(contains("there is no node 9"));
    pibake(dir.path(), &["build", "--base", "20.04.5", "--offline"]).code(1);
    std::fs::write(dir.path().join("file"), "x").unwrap();
    pibake(dir.path(), &["build", "--base", "sample", "-o", "file/below"])
        .code(1)
        .stderr(contains("is not a folder"));
    let garbage = dir.path().join("garbage.img");
    std::fs::write(&garbage, vec![7; 1 << 20]).unwrap();
    pibake(dir.path(), &["build", "--base", "./garbage.img"]).failure();
    let left = std::fs::read_dir(dir.path().join("images")).map(Iterator::count).unwrap_or(0);
    assert_eq!(left, 0, "something was left in images/");
}
