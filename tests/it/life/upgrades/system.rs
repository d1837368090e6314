//! One node gets newer packages, and restarts where they ask for it.

use super::node::{Cluster, Node};
use super::orders::order;

fn to(restart: &str) -> String {
    order(&format!("system-{restart}"), &format!("what=system\nrestart={restart}\n"), &[])
}

fn node(cluster: &Cluster) -> Node {
    let node = cluster.node(2, "1.34.2");
    node.state("newer", "2\n");
    node
}

#[test]
fn packages_are_installed_and_nothing_restarts_that_need_not() {
    let cluster = Cluster::new("1.34.2");
    let node = node(&cluster);
    let ran = node.carry_out(&to("needed"));
    assert_eq!((ran.code, node.told("state").as_str()), (Some(0), "done"), "{}", ran.said);
    assert_eq!(node.read_state("newer"), "0");
    assert_eq!(node.read_state("restarts"), "");
    assert_eq!(node.versions()[1], "1.34.2-1.1", "what is held stays");
}

#[test]
fn a_restart_is_made_once_and_gone_on_after() {
    for (state, kernel) in [("asks-for-restart", "6.8.0-1"), ("kernel-comes", "6.8.0-9")] {
        let cluster = Cluster::new("1.34.2");
        let node = node(&cluster);
        node.state(state, kernel);
        node.state("kernel-comes", kernel);
        node.begin(&to("needed"));
        assert!(node.run().killed, "{state}: the machine goes down");
        assert_eq!((node.told("state").as_str(), node.told("step").as_str()), ("working", "restart"));
        let before = cluster.member("node-2", "boot");
        node.power_on();
        let ran = node.run();
        assert_eq!((ran.code, node.told("state").as_str()), (Some(0), "done"), "{}", ran.said);
        assert_eq!(node.read_state("restarts"), "1", "{state}");
        assert_eq!(node.read_state("kernel"), kernel);
        assert_ne!(node.told("boot"), before);
        assert_eq!(node.told("boot"), cluster.member("node-2", "boot"));
    }
}

#[test]
fn a_restart_that_is_wanted_in_any_case_is_made() {
    let cluster = Cluster::new("1.34.2");
    let node = node(&cluster);
    node.begin(&to("always"));
    assert!(node.run().killed);
    node.power_on();
    assert_eq!(node.run().code, Some(0));
    assert_eq!(node.read_state("restarts"), "1");
}

/// As Ubuntu has it from 25.10 on.
fn tries_kernels(node: &Node) {
    node.stand_in_for("piboot-try");
    node.state("piboot-try", "");
    node.state("kernel-comes", "7.0.0-9\n");
    node.begin(&to("needed"));
    assert!(node.run().killed);
    assert!(node.changes().contains(&"piboot-try --reboot".to_owned()), "{:?}", node.changes());
    node.power_on();
}

#[test]
fn a_new_kernel_is_tried_once() {
    let cluster = Cluster::new("1.34.2");
    let node = node(&cluster);
    tries_kernels(&node);
    let ran = node.run();
    assert_eq!((ran.code, node.told("state").as_str()), (Some(0), "done"), "{}", ran.said);
    assert_eq!(node.read_state("kernel"), "7.0.0-9");
}

#[test]
fn a_new_kernel_that_does_not_start_is_told_and_the_old_one_serves() {
    let cluster = Cluster::new("1.34.2");
    let node = node(&cluster);
    node.state("kernel-is-bad", "");
    tries_kernels(&node);
    let ran = node.run();
    assert_eq!((ran.code, node.told("step").as_str()), (Some(1), "kernel"), "{}", ran.said);
    assert_eq!(
        node.told("message"),
        "the new kernel did not start, and the node went back to the one of before by itself (6.8.0-1): see \
         /boot/firmware/new"
    );
    assert!(node.serves());
    // It is not tried again before there is a newer one.
    let ran = node.carry_out(&to("needed"));
    assert_eq!((ran.code, node.read_state("restarts").as_str()), (Some(0), "1"), "{}", ran.said);
}

#[test]
fn servers_that_do_not_answer_are_told() {
    let cluster = Cluster::new("1.34.2");
    let node = node(&cluster);
    node.state("offline", "");
    let ran = node.carry_out(&to("needed"));
    assert_eq!((ran.code, node.told("step").as_str()), (Some(1), "packages"), "{}", ran.said);
    assert!(node.told("message").contains("names cannot be resolved"), "{}", node.told("message"));
}
