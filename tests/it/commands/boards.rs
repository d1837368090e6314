//! What a description that names its boards is planned and built as.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

fn pibake(dir: &Path, text: &str, arguments: &[&str]) -> assert_cmd::assert::Assert {
    std::fs::write(dir.join("pibake.toml"), text).unwrap();
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
    command.args(arguments).assert()
}

fn json(dir: &Path, text: &str, arguments: &[&str]) -> Value {
    let out = pibake(dir, text, &[arguments, &["--json"]].concat()).success();
    serde_json::from_slice(&out.get_output().stdout).unwrap()
}

#[test]
fn a_plan_shows_the_boards_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = "nodes = [{ board = \"cm4\" }, {}]\n";
    let page = "NODE    ROLE           ADDRESS   BOARD\nnode-1  control-plane  10.0.0.1  cm4\n\
                node-2  worker         10.0.0.2  any\n";
    pibake(dir.path(), text, &["plan"]).success().stdout(predicates::str::starts_with(page));
    let nodes = json(dir.path(), text, &["plan"])["nodes"].take();
    assert_eq!((&nodes[0]["board"], &nodes[1]["board"]), (&Value::from("cm4"), &Value::Null));
}

#[test]
fn a_board_that_the_base_does_not_start_is_refused_by_all() {
    let dir = tempfile::tempdir().unwrap();
    let text = "nodes = [{}, { board = \"pi5\" }]\n";
    for command in [&["plan"][..], &["plan", "--node", "2"], &["build"]] {
        pibake(dir.path(), text, command)
            .code(2)
            .stderr(contains("nodes[2].board: Ubuntu 20.04 does not start on a Pi 5"))
            .stderr(contains("image = \"24.04\""));
    }
    assert!(!dir.path().join(".pibake").exists(), "nothing was made");
    pibake(dir.path(), text, &["plan", "--base", "24.04"]).success();
    // the sample is a 20.04
    pibake(dir.path(), text, &["build", "--base", "sample"]).code(2).stderr(contains("--base 24.04"));
}

/// Whoever makes the card of a Pi 5 with --base 24.04 need not make those of the others again.
#[test]
fn a_card_is_refused_for_its_own_board_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = "nodes = [{}, { board = \"pi5\" }]\n";
    let refused = "nodes[2].board: Ubuntu 20.04 does not start on a Pi 5";
    pibake(dir.path(), text, &["plan", "--node", "1"]).success();
    pibake(dir.path(), text, &["plan", "--node", "2"]).code(2).stderr(contains(refused));
    pibake(dir.path(), text, &["plan", "--node", "2", "--base", "24.04"]).success();
    pibake(dir.path(), text, &["build", "--base", "sample", "--node", "1"]).success();
    pibake(dir.path(), text, &["build", "--base", "sample", "--node", "2"]).code(2).stderr(contains(refused));
    pibake(dir.path(), text, &["verify", "images/node-1.img"]).success();
}

#[test]
fn a_card_says_which_board_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let text = "board = \"pi3\"\nnodes = [{ board = \"pi4\" }, {}]\n[base]\nimage = \"sample\"\n";
    let built = pibake(dir.path(), text, &["build"]).success();
    assert!(!String::from_utf8_lossy(&built.get_output().stderr).contains("bootloader"));
    for (node, board) in [("node-1", "pi4"), ("node-2", "pi3")] {
        let image = format!("images/{node}.img");
        pibake(dir.path(), text, &["inspect", &image])
            .success()
            .stdout(contains(format!("for the board {board}\n")));
        assert_eq!(json(dir.path(), text, &["inspect", &image])["baked"]["board"], board);
        let bill = std::fs::read(dir.path().join(format!("images/{node}.spdx.json"))).unwrap();
        let bill: Value = serde_json::from_slice(&bill).unwrap();
        assert_eq!(bill["packages"][0]["comment"], format!("It is for the board {board}."));
        support::spdx::assert_valid(&dir.path().join(format!("images/{node}.spdx.json")));
        // and it is the card that the description makes
        pibake(dir.path(), text, &["verify", &image]).success();
        pibake(dir.path(), text, &["plan", "--diff", &image]).success();
    }
    let any = text.replace("board = \"pi3\"\n", "");
    pibake(dir.path(), &any, &["build", "--node", "2", "-o", "any"]).success();
    let said = pibake(dir.path(), &any, &["inspect", "any/node-2.img"]).success();
    said.stdout(contains("for the board").not());
}

/// The sample is taken for another system here, which its boot partition does not know.
#[test]
fn what_a_board_needs_besides_is_said_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = |board: &str, platform: &str| {
        format!("board = \"{board}\"\nnodes = 1\n[base]\nimage = \"sample\"\nplatform = \"{platform}\"\n")
    };
    pibake(dir.path(), &text("pi4", "26.04"), &["build"])
        .success()
        .stderr(contains("Ubuntu 26.04 needs a bootloader of 2022-11-25 or later in the EEPROM of a Pi 4"));
    pibake(dir.path(), &text("pi4", "24.04"), &["build"]).success().stderr(contains("bootloader").not());
    pibake(dir.path(), &text("pi5", "24.04"), &["build"])
        .code(2)
        .stderr(contains("no device tree for a Pi 5"))
        .stderr(contains("bcm2712-rpi-5-b.dtb"));
}

#[test]
fn a_small_control_plane_is_a_warning_also_where_a_program_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let warned = json(dir.path(), "board = \"pi3\"\n", &["plan"]);
    let kinds: Vec<_> = warned["warnings"].as_array().unwrap().iter().map(|w| w["kind"].clone()).collect();
    assert!(kinds.contains(&Value::from("small-control-plane")), "{kinds:?}");
}

#[test]
fn what_nodes_start_from_is_planned_baked_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let text = "usb-quirks = [\"152D:0578:u\", \"174c:55aa:uk\"]\nnodes = [{ board = \"cm4\", boot-from = \"nvme\" }, {}]\n";
    let page = "NODE    ROLE           ADDRESS   BOARD  STARTS FROM\nnode-1  control-plane  10.0.0.1  cm4    nvme\n\
                node-2  worker         10.0.0.2  any    sd\n";
    pibake(dir.path(), text, &["plan"]).success().stdout(predicates::str::starts_with(page));
    let nodes = json(dir.path(), text, &["plan"])["nodes"].take();
    assert_eq!((&nodes[0]["boot_from"], &nodes[1]["boot_from"]), (&Value::from("nvme"), &Value::Null));
    pibake(dir.path(), text, &["plan", "--node", "1", "/cmdline.txt"])
        .success()
        .stdout(contains("+usb-storage.quirks=152d:0578:u,174c:55aa:uk").and(contains("+root=PARTUUID=")));
    pibake(dir.path(), text, &["plan", "--node", "1", "/etc/fstab"]).success().stdout(contains("PARTUUID="));
    pibake(dir.path(), text, &["build", "--base", "sample"]).success();
    pibake(dir.path(), text, &["inspect", "images/node-1.img"])
        .success()
        .stdout(contains("to start from an NVMe disk"));
    let baked = json(dir.path(), text, &["inspect", "images/node-1.img"])["baked"].take();
    assert_eq!(baked["boot_from"], "nvme");
    pibake(dir.path(), text, &["verify", "images/node-1.img"]).success();
    pibake(dir.path(), text, &["plan", "--base", "sample", "--diff", "images/node-1.img"])
        .success()
        .stdout(contains("root=").not().and(contains("fstab").not()));
    let other = "[base]\nkernel-arguments = [\"root=/dev/sda2\"]\n";
    pibake(dir.path(), other, &["plan", "--node", "1", "/cmdline.txt"])
        .success()
        .stdout(contains("+root=/dev/sda2").and(contains("PARTUUID").not()));
}
