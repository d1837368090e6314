//! `pibake inspect` and `pibake logs` on real images.

mod support;

use std::path::Path;

use assert_cmd::Command;
use predicates::str::contains;
use support::images::{self, Spec};
use support::writable::WritableFile;

fn pibake(arguments: &[&str], image: &Path) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.arg(arguments[0]).arg(image).args(&arguments[1..]).assert()
}

#[test]
fn partitions_directories_and_files_are_shown_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec::default().make(dir.path());
    let before = std::fs::read(&image).unwrap();
    let root_offset = places.root.0.to_string();
    pibake(&["inspect"], &image).success().stdout(contains("boot")).stdout(contains(root_offset));
    pibake(&["inspect", "/etc"], &image).success().stdout(contains("0644")).stdout(contains("machine-id"));
    pibake(&["inspect", "/etc/hostname"], &image).success().stdout("ubuntu\n");
    pibake(&["inspect", "/boot/firmware/cmdline.txt"], &image)
        .success()
        .stdout(contains("root=LABEL=writable"));
    pibake(&["inspect", "/boot/firmware"], &image).success().stdout(contains("user-data"));
    let json = pibake(&["inspect", "/etc", "--json"], &image).success();
    let value: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(value[0]["name"], "hostname");
    assert!(std::fs::read(&image).unwrap() == before, "the image was written to");
}

#[test]
fn what_cannot_be_shown_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = Spec::default().make(dir.path());
    pibake(&["inspect", "/none"], &image).code(1).stderr(contains("/none: no such file or directory"));
    pibake(&["inspect", "etc"], &image).code(2).stderr(contains("it must start with '/'"));
    pibake(&["logs"], &image).code(1).stderr(contains("has no log of a first boot"));
    pibake(&["inspect"], Path::new("/none")).code(1).stderr(contains("opening /none"));
    let packed = dir.path().join("base.img.xz");
    std::fs::write(&packed, b"\xfd7zXZ\0\0\0").unwrap();
    pibake(&["inspect"], &packed).code(1).stderr(contains("unpack it first, with xz -dk"));
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, vec![7; 4096]).unwrap();
    pibake(&["inspect"], &garbage).code(1).stderr(contains("there is no partition table"));
}

#[test]
fn logs_are_read_off_a_card() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    images::put(&root.join("var/log/pibake/first-boot.log"), "stage 1 of 12: disk\n");
    images::put(&root.join("var/log/pibake/status"), "done\n");
    let (image, _) = Spec::default().make_from(dir.path(), &root);
    pibake(&["logs"], &image).success().stdout(contains("stage 1 of 12")).stdout(contains("done"));
}

#[test]
fn a_card_whose_power_was_cut_is_read_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    images::put(&root.join("var/log/pibake/status"), "waiting\n");
    let (image, places) = Spec::default().make_from(dir.path(), &root);
    // both file systems as a running node has them: a journal in use, a FAT that is mounted
    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    let mut debugfs = support::tool("debugfs", "e2fsprogs");
    support::run(debugfs.args(["-w", "-R", "feature needs_recovery"]).arg(&ext4));
    images::splice(&ext4, &image, places.root.0);
    let device = WritableFile::open(&image).unwrap();
    pibake::disk::WriteAt::write_at(&device, places.boot.0 + 0x41, &[1]).unwrap();
    pibake(&["logs"], &image).success().stdout(contains("waiting"));
    pibake(&["inspect", "/boot/firmware/user-data"], &image).success().stdout(contains("#cloud-config"));
}
