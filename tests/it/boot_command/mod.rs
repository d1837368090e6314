//! `pibake boot` with a program in QEMU's place that does what machines do, and what they do wrong.
//! Real machines are in `tests/boot`.

mod device_tree;
mod ends;
pub mod lab;
mod refusals;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use lab::{Lab, PATIENCE};
use predicates::prelude::*;
use predicates::str::contains;

#[test]
fn it_ends_well_when_the_console_says_what_is_waited_for() {
    let lab = Lab::new();
    let image = lab.image("a");
    let before = std::fs::read(&image).unwrap();
    lab.boot("login")
        .arg(&image)
        .args(["--until", "^node login:$", "--timeout", PATIENCE, "--log", "boot.log"])
        .assert()
        .success()
        .stdout(contains("Booting Linux"))
        .stderr(contains("node login:"));
    let log = std::fs::read_to_string(lab.path("boot.log")).unwrap();
    assert!(log.contains("Booting Linux") && log.contains("login: "), "{log}");
    assert!(std::fs::read(&image).unwrap() == before, "the image was changed");
    let left: Vec<_> = std::fs::read_dir(lab.path("cache/pibake/boot")).unwrap().collect();
    assert_eq!(left.len(), 0, "something is left: {left:?}");
}

#[test]
fn a_machine_that_cannot_go_on_ends_the_run_at_once() {
    let lab = Lab::new();
    let image = lab.image("a");
    for (fake, says) in [
        ("panic", "Kernel panic - not syncing: VFS"),
        ("emergency", "You are in emergency mode"),
        ("dies", "could not do it"),
        ("crash", "fatal: crashed"),
        ("killed", "QEMU ended while it ran a (killed by signal 9)"),
    ] {
        let mut command = lab.boot(fake);
        command.arg(&image).args(["--until", "login:", "--timeout", PATIENCE]);
        let ended = command.assert().code(1).stderr(contains(says));
        if fake == "panic" {
            ended.stdout(contains("the last words"));
        }
    }
    lab.boot("off")
        .arg(&image)
        .args(["--until", "login:"])
        .assert()
        .code(1)
        .stderr(contains("switched off").and(contains("login:")));
}

#[test]
fn a_machine_that_is_switched_off_ends_the_run_well() {
    let lab = Lab::new();
    let image = lab.image("a");
    lab.boot("off").arg(&image).assert().success().stdout(contains("Power down"));
    let out = lab.boot("off").arg(&image).arg("--json").assert().success();
    let value: serde_json::Value = serde_json::from_slice(&out.get_output().stdout).unwrap();
    assert_eq!(value["end"], "off");
}

#[test]
fn too_slow_is_said_with_what_was_waited_for() {
    let lab = Lab::new();
    let image = lab.image("a");
    lab.boot("login")
        .arg(&image)
        .args(["--until", "never said", "--timeout", "2"])
        .assert()
        .code(1)
        .stderr(contains("never said").and(contains("after 2 s")));
}

#[test]
fn several_machines_have_names_before_their_lines_and_logs_of_their_own() {
    let lab = Lab::new();
    let (a, b) = (lab.image("one"), lab.image("two"));
    lab.boot("login")
        .args([&a, &b])
        .args(["--until", "login:", "--timeout", PATIENCE, "--log", "boot.log"])
        .assert()
        .success()
        .stdout(contains("one | [    0.000000] Booting Linux").and(contains("two | node login:")));
    for name in ["boot.one.log", "boot.two.log"] {
        assert!(std::fs::read_to_string(lab.path(name)).unwrap().contains("Booting"), "{name}");
    }
    lab.boot("login").args([&a, &a]).assert().code(2).stderr(contains("one is given twice"));
    lab.boot("login").args([&a, &b]).args(["--ssh", "2222"]).assert().code(2).stderr(contains("--uplink"));
}

#[test]
fn cards_are_kept_and_gone_on_with_and_never_over_something_else() {
    let lab = Lab::new();
    let image = lab.image("a");
    let boot = || {
        let mut command = lab.boot("login");
        command.arg(&image).args(["--until", "login:", "--timeout", PATIENCE, "--keep", "kept"]);
        command
    };
    boot().assert().success();
    // Cards hold secrets, and whoever keeps them beside a description may keep that in git.
    for folder in ["kept", "kept/a"] {
        assert!(std::fs::read_to_string(lab.path(folder).join(".gitignore")).unwrap().ends_with("\n*\n"));
    }
    let card = lab.path("kept/a/card.qcow2");
    let mark = std::fs::metadata(&card).unwrap().modified().unwrap();
    boot().assert().success();
    assert_eq!(std::fs::metadata(&card).unwrap().modified().unwrap(), mark, "the card was made anew");
    lab.put_bytes(&image, b"another initrd", "initrd.img");
    boot().assert().code(4).stderr(contains("was created from a different image").and(contains("remove")));
}

/// As a card that is in a Pi: what is changed in pibake.toml, or by `pibake token new`, is for the next one.
#[test]
fn a_card_stays_as_it_was_written_when_the_description_changes() {
    let lab = Lab::new();
    let image = lab.image("base");
    let describe = |more: &str| {
        let text = format!("[base]\nimage = \"./base.img\"\nplatform = \"20.04\"\n{more}");
        std::fs::write(lab.path("pibake.toml"), text).unwrap();
    };
    let boot = || {
        let mut command = lab.boot("login");
        command.args(["--node", "1", "--until", "login:", "--timeout", PATIENCE, "--keep", "kept"]);
        command
    };
    describe("kernel-arguments = [\"first\"]\n");
    boot().assert().success().stderr(contains("kept as it was").not());
    let written =
        |name: &str| std::fs::metadata(lab.path("kept/node-1").join(name)).unwrap().modified().unwrap();
    let before = ["card.qcow2", "kernel"].map(written);
    describe("kernel-arguments = [\"second\"]\n");
    boot().assert().success().stderr(contains("node-1's card is kept as it was written"));
    assert_eq!(["card.qcow2", "kernel"].map(written), before);
    boot().arg("--print").assert().success().stdout(contains("first").and(contains("second").not()));
    std::fs::remove_dir_all(lab.path("kept/node-1")).unwrap();
    boot().assert().success().stderr(contains("kept as it was").not());
    boot().arg("--print").assert().success().stdout(contains("second"));
    lab.put_bytes(&image, b"another initrd", "initrd.img");
    boot().assert().code(4).stderr(contains("was created from a different image"));
}

#[test]
fn the_command_line_is_shown_without_an_emulator_and_without_writing() {
    let lab = Lab::new();
    let image = lab.image("a");
    Command::new(env!("CARGO_BIN_EXE_pibake"))
        .current_dir(lab.dir.path())
        .env("XDG_CACHE_HOME", lab.path("cache"))
        .args(["boot", "--print", "--keep", "kept", "--qemu", "/none/qemu", "a.img"])
        .assert()
        .success()
        .stdout(contains("/none/qemu -M raspi4b").and(contains("console=ttyAMA0,115200")));
    assert!(!lab.path("kept/a").exists());
    assert!(image.exists());
}

/// What a build compressed is unpacked for the run, or beside the card that is kept, once.
#[test]
fn images_that_are_not_raw_are_booted_too() {
    let lab = Lab::new();
    let image = lab.image("a");
    let (packed, qcow2) = (lab.path("a.img.zst"), lab.path("a.qcow2"));
    support::run(support::tool("zstd", "zstd").arg("-qk").arg(&image).arg("-o").arg(&packed));
    let convert = ["convert", "-f", "raw", "-O", "qcow2"];
    support::run(support::tool("qemu-img", "qemu-utils").args(convert).arg(&image).arg(&qcow2));
    for image in [&packed, &qcow2] {
        let before = std::fs::read(image).unwrap();
        let boot = || {
            let mut command = lab.boot("login");
            command.arg(image).args(["--until", "^node login:$", "--timeout", PATIENCE]);
            command
        };
        boot().assert().success().stdout(contains("Booting Linux")).stderr(contains("unpacking"));
        assert_eq!(std::fs::read_dir(lab.path("cache/pibake/boot")).unwrap().count(), 0, "something is left");
        // a folder that was there before, of which git keeps what is the user's
        std::fs::create_dir(lab.path("kept")).unwrap();
        std::fs::write(lab.path("kept/notes"), "mine").unwrap();
        let mut git = support::tool("git", "git");
        support::run(git.args(["init", "--quiet"]).arg(lab.path("kept")));
        boot().args(["--keep", "kept"]).assert().success().stderr(contains("unpacking"));
        boot().args(["--keep", "kept"]).assert().success().stderr(contains("unpacking").not());
        let mut git = support::tool("git", "git");
        git.arg("-C").arg(lab.path("kept")).args(["add", "--dry-run", "--all"]);
        assert_eq!(support::run(&mut git), "add 'notes'\n");
        support::walk(&lab.path("kept"), &mut |file| {
            let folder = file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777;
            let is_large = file.metadata().unwrap().len() > 1 << 20;
            assert!(!is_large || folder == 0o700, "{}: {folder:o}", file.display());
        });
        std::fs::remove_dir_all(lab.path("kept")).unwrap();
        assert!(std::fs::read(image).unwrap() == before, "the image was changed");
    }
}
