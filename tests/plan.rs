//! `pibake init` and `pibake plan`.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

fn pibake(dir: &std::path::Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("pibake").unwrap().current_dir(dir).args(arguments).assert()
}

#[test]
fn the_default_cluster_needs_no_description_and_makes_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = "NODE    ROLE           ADDRESS\nnode-1  control-plane  10.0.0.1\nnode-2  worker         10.0.0.2\n\
                 node-3  worker         10.0.0.3\nnode-4  worker         10.0.0.4\n";
    pibake(dir.path(), &["plan"]).success().stdout(nodes);
    let control_plane = pibake(dir.path(), &["plan", "--node", "1"]).success();
    for row in ["/etc/hostname", "/etc/netplan", "/etc/dhcp/dhcpd.conf", "cgroup_memory=1", "/meta-data"] {
        assert!(contains(row).eval(&String::from_utf8_lossy(&control_plane.get_output().stdout)), "{row}");
    }
    pibake(dir.path(), &["plan", "--node", "node-3", "/etc/hostname"]).success().stdout("node-3\n");
    pibake(dir.path(), &["plan", "--node", "2"]).success().stdout(contains("dhcpd.conf").not());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "plan left something");
}

#[test]
fn what_init_writes_is_the_default_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let before = pibake(dir.path(), &["plan", "--node", "1", "--json"]).success().get_output().stdout.clone();
    pibake(dir.path(), &["init"]).success().stdout(contains("pibake.toml"));
    let after = pibake(dir.path(), &["plan", "--node", "1", "--json"]).success().get_output().stdout.clone();
    assert_eq!(before, after);
    pibake(dir.path(), &["init"]).code(1).stderr(contains("is there already"));
    pibake(dir.path(), &["init", "deeper/still"]).success();
    assert!(dir.path().join("deeper/still/pibake.toml").is_file());
}

#[test]
fn wrong_descriptions_and_arguments_end_with_2_and_say_where() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "domian = \"x\"\n").unwrap();
    pibake(dir.path(), &["plan", "-C", "bad.toml"])
        .code(2)
        .stderr(contains("bad.toml:1"))
        .stderr(contains("domain"));
    pibake(dir.path(), &["plan", "-C", "none.toml"]).code(2).stderr(contains("none.toml"));
    pibake(dir.path(), &["plan", "--nodes", "0"]).code(2);
    pibake(dir.path(), &["plan", "--nodes", "300"]).code(2);
    pibake(dir.path(), &["plan", "--node", "9"]).code(2).stderr(contains("node-1, node-2"));
    pibake(dir.path(), &["plan", "--node", "1", "etc"]).code(2);
    pibake(dir.path(), &["plan", "--node", "1", "/none"])
        .code(1)
        .stderr(contains("nothing changes at /none"));
    pibake(dir.path(), &["plan", "--node", "1", "--base", "./none.img"])
        .code(2)
        .stderr(contains("base.platform"));
}
