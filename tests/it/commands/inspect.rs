//! `pibake inspect` and `pibake logs` on real images.

use std::path::Path;

use crate::writable::WritableFile;
use assert_cmd::Command;
use predicates::str::contains;
use support::images::{self, Spec};

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
    assert_eq!(value["entries"][0]["name"], "hostname");
    assert!(std::fs::read(&image).unwrap() == before, "the image was written to");
}

#[test]
fn what_cannot_be_shown_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = Spec::default().make(dir.path());
    pibake(&["inspect", "/none"], &image).code(2).stderr(contains("/none: no such file or directory"));
    pibake(&["inspect", "etc"], &image).code(2).stderr(contains("it must start with '/'"));
    pibake(&["logs"], &image).code(1).stderr(contains("has no log of a first boot"));
    pibake(&["inspect"], Path::new("/none")).code(2).stderr(contains("/none does not exist"));
    let packed = dir.path().join("base.img.xz");
    std::fs::write(&packed, b"\xfd7zXZ\0\0\0").unwrap();
    pibake(&["inspect"], &packed).code(1).stderr(contains("unpacking"));
    std::fs::write(&packed, b"BZh91AY&SY").unwrap();
    pibake(&["inspect"], &packed).code(2).stderr(contains("unpack it first, with bunzip2"));
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, vec![7; 4096]).unwrap();
    pibake(&["inspect"], &garbage).code(2).stderr(contains("there is no partition table"));
}

#[test]
fn logs_are_read_off_a_card() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    images::put(&root.join("var/log/pibake/first-boot.log"), "stage 1 of 12: disk\n");
    images::put(&root.join("var/log/pibake/status"), "done\n");
    let (image, _) = Spec::default().make_from(dir.path(), &root);
    pibake(&["logs"], &image).success().stdout(contains("stage 1 of 12")).stdout(contains("done"));
    let status = "format=1\nnode=node-2\nrole=worker\nstarts=1\nstate=waiting\nstage=2\nstages=3\nname=join\n\
                  attempt=1\nupdated=2026-11-23T10:07:12Z\nmessage=no answer\n\
                  step=1 disk done 2026-11-23T10:01:20Z\nstep=2 join waiting\nstep=3 ready pending\n";
    let dir = tempfile::tempdir().unwrap();
    images::put(&root.join("var/log/pibake/status"), status);
    let (image, _) = Spec::default().make_from(dir.path(), &root);
    let said = pibake(&["logs"], &image).success().get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    let sentence = "node-2 waited in the stage join (2 of 3) when it was switched off (2026-11-23T10:07:12Z): no answer\n";
    assert!(
        said.starts_with(sentence)
            && !said.contains("stage 1 of 12")
            && said.contains("2026-11-23T10:01:20Z"),
        "{said}"
    );
    pibake(&["logs", "--raw"], &image)
        .success()
        .stdout(contains("stage 1 of 12"))
        .stdout(contains("step=2 join waiting"));
}

/// Every form that a build writes, and what people make of one, is looked into like the raw image.
#[test]
fn images_in_every_form_are_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    let desk = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("pibake").unwrap();
        command.current_dir(dir.path()).env("XDG_CACHE_HOME", dir.path().join("cache"));
        command.env("SOURCE_DATE_EPOCH", "1700000000").args(arguments).assert()
    };
    let out = |arguments: &[&str]| {
        String::from_utf8(desk(arguments).success().get_output().stdout.clone()).unwrap()
    };
    for format in ["raw", "qcow2", "zst", "xz"] {
        desk(&["build", "--base", "sample", "--node", "1", "--format", format]).success();
    }
    support::run(support::tool("gzip", "gzip").arg("-k").arg(dir.path().join("images/node-1.img")));
    let whole = out(&["inspect", "images/node-1.img"]);
    for words in [
        "node-1 of the cluster \"kubernetes\", control-plane, 10.0.0.1",
        "Kubernetes 1.",
        "sha256:",
        "2023-11-14T22:13:20Z by pibake 0.",
    ] {
        assert!(whole.contains(words), "{words} is not in {whole}");
    }
    let ca = std::fs::read_to_string(dir.path().join(".pibake/ca.crt")).unwrap();
    for name in ["node-1.img", "node-1.qcow2", "node-1.img.zst", "node-1.img.xz", "node-1.img.gz"] {
        let image = format!("images/{name}");
        assert_eq!(out(&["inspect", &image]), whole, "{name}");
        assert_eq!(out(&["inspect", &image, "/etc/kubernetes/pki/ca.crt"]), ca, "{name}");
        desk(&["logs", &image]).code(1).stderr(contains("node-1 was never booted from it"));
    }
    let left = std::fs::read_dir(dir.path().join("cache/pibake/unpacked")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).filter(|name| name != "lock").collect();
    assert!(left.is_empty(), "{left:?}");
    let whole = std::fs::read(dir.path().join("images/node-1.img.zst")).unwrap();
    std::fs::write(dir.path().join("cut.img.zst"), &whole[..whole.len() / 2]).unwrap();
    desk(&["inspect", "cut.img.zst"]).code(1).stderr(contains("unpacking cut.img.zst"));
    // of what pibake did not bake it says so
    let other = tempfile::tempdir().unwrap();
    let (image, _) = Spec::default().make(other.path());
    pibake(&["inspect"], &image).success().stdout(contains("pibake did not bake it"));
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

#[test]
fn a_card_that_somebody_else_had_speaks_to_no_terminal_and_takes_no_memory() {
    use std::os::unix::ffi::OsStrExt;

    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    images::put(
        &root.join("var/log/pibake/status"),
        "state=done\nmessage=\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r!\n",
    );
    let log = root.join("var/log/pibake/first-boot.log");
    images::put(&log, "begin\n");
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"the end\n", 40 << 30).unwrap();
    let odd = [&b"a\x1b[2J"[..], b"b\xff\xfe", b"c\nd", "\u{202e}gpj".as_bytes()];
    for name in odd {
        images::put(&root.join("home").join(std::ffi::OsStr::from_bytes(name)), "x");
    }
    std::os::unix::fs::symlink("/etc/shadow", root.join("home/e")).unwrap();
    let (image, _) = Spec::default().make_from(dir.path(), &root);

    let run = |arguments: &[&str]| {
        // 3 GiB of address space: a log of 40 GiB would not fit
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "ulimit -v 3000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_pibake")]);
        command.arg(arguments[0]).arg(&image).args(&arguments[1..]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let is_clean = |text: &str| !text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    let short = run(&["logs"]);
    assert!(is_clean(&short) && short.starts_with("the node is ready"), "{short}");
    let logs = run(&["logs", "--raw"]);
    assert!(logs.contains("bytes are left out]") && logs.contains("the end"), "the end is missing");
    assert!(logs.contains(r"message=\x1b]0;owned\x07\x9b2J\u{202e}\r!"));
    let shown: String = logs.replace(r"\x00", "");
    assert!(is_clean(&shown));
    let text = run(&["logs", "--json"]);
    assert!(is_clean(&text), "a document is printed to terminals, too");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let status = json["logs"].as_array().unwrap().iter().find(|log| log["path"] == "/var/log/pibake/status");
    let status = status.unwrap()["text"].as_str().unwrap();
    assert!(status.contains("\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r!"), "JSON says what is there");

    pibake(&["inspect", "/var/log/pibake/first-boot.log", "--json"], &image)
        .code(2)
        .stderr(contains("leave --json out"));

    let listed = run(&["inspect", "/home"]);
    assert!(is_clean(&listed), "{listed:?}");
    for name in [r"a\x1b[2J", r"b\xff\xfe", r"c\nd", r"\u{202e}gpj"] {
        assert!(listed.contains(name), "{name} is not in {listed}");
    }
    let text = run(&["inspect", "/home", "--json"]);
    assert!(is_clean(&text), "{text:?}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let name =
        json["entries"].as_array().unwrap().iter().find(|entry| entry["name_base64"].is_string()).unwrap();
    assert_eq!(
        (name["name"].as_str(), name["name_base64"].as_str()),
        (Some("b\u{fffd}\u{fffd}"), Some("Yv/+"))
    );
    // a link is what it is, and not what it points to on this machine
    assert_eq!(run(&["inspect", "/home/e"]), "/etc/shadow");
}
