//! Packages of the image are upgraded last, as system.upgrade has it.

use super::node::{Node, Role};

fn node(upgrade: &str) -> Node {
    let node = Node::new(Role::Worker);
    let env = node.read("etc/pibake/node.env");
    node.put("etc/pibake/node.env", &format!("{env}UPGRADE='{upgrade}'\n"));
    node
}

/// The calls that upgrade packages, from the first that comes after the node is ready.
fn upgrades(node: &Node) -> Vec<String> {
    let calls = node.calls();
    let ready = calls.iter().rposition(|call| call.starts_with("kubectl ")).unwrap();
    let is_upgrade = |call: &&String| call.contains(" upgrade") || call.starts_with("unattended-upgrade");
    assert_eq!(calls[..ready].iter().filter(is_upgrade).count(), 0, "{calls:?}");
    calls[ready..].iter().filter(is_upgrade).cloned().collect()
}

#[test]
fn all_that_the_archive_has() {
    let node = node("all");
    node.complete(&[]);
    let [upgrade] = &upgrades(&node)[..] else { panic!("{:?}", upgrades(&node)) };
    assert!(
        upgrade.starts_with("apt-get --yes ") && upgrade.ends_with(" --with-new-pkgs upgrade"),
        "{upgrade}"
    );
    assert!(node.status().contains(" upgrade done "), "{}", node.status());
}

#[test]
fn security_updates_by_the_program_that_knows_them() {
    let node = node("security");
    node.complete(&[]);
    assert_eq!(upgrades(&node), ["unattended-upgrade --verbose"]);
}

#[test]
fn none_is_not_even_a_stage() {
    let node = node("none");
    node.complete(&[]);
    assert_eq!(upgrades(&node), [""; 0]);
    assert!(!node.status().contains(" upgrade "), "{}", node.status());
}

#[test]
fn one_that_fails_is_tried_again_when_all_else_is_done() {
    let node = node("security");
    node.complete(&[("FAIL_AT", "unattended-upgrade --verbose")]);
    assert_eq!(node.read_state("failures"), "failed\n".repeat(3));
    assert_eq!(upgrades(&node), ["unattended-upgrade --verbose"]);
}

#[test]
fn a_word_that_is_none_is_refused() {
    let node = node("everything");
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=upgrade", "state=retrying"]);
    assert!(status.contains("none of security, all and none"), "{status}");
}
