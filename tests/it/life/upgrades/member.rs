//! A node that was deleted from the cluster is part of it again.

use std::fs;

use super::node::{Cluster, Node};

fn looks(node: &Node) -> (Option<i32>, String) {
    let ran = node.program("member", &[], "", &[]);
    (ran.code, ran.said)
}

fn restarts(node: &Node) -> usize {
    node.trace().iter().filter(|line| *line == "systemctl restart kubelet @start").count()
}

#[test]
fn a_worker_registers_again() {
    let cluster = Cluster::new("1.34.2");
    let node = cluster.node(2, "1.34.2");
    assert_eq!(looks(&node), (Some(0), String::new()));
    fs::remove_dir_all(cluster.path("cluster/nodes/node-2")).unwrap();
    let (code, said) = looks(&node);
    assert!(code == Some(0) && said.contains("node-2 was deleted from the cluster"), "{said}");
    assert_eq!((cluster.member("node-2", "ready").as_str(), restarts(&node)), ("True", 1));
    // A cluster that does not answer has deleted nobody.
    fs::remove_dir_all(cluster.path("cluster/nodes/node-2")).unwrap();
    fs::remove_file(cluster.path("cluster/up")).unwrap();
    assert_eq!((looks(&node).0, restarts(&node)), (Some(0), 1));
    // One whose first boot is at work registers by that.
    fs::write(cluster.path("cluster/up"), "").unwrap();
    fs::remove_file(node.path("root/var/lib/pibake/first-boot/complete")).unwrap();
    assert_eq!((looks(&node).0, restarts(&node)), (Some(0), 1));
}

#[test]
fn a_control_plane_is_one_again() {
    for (taint, expected) in [
        ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/control-plane=:NoSchedule"),
        ("", ""),
    ] {
        let cluster = Cluster::new("1.34.2");
        let node = cluster.node(1, "1.34.2");
        cluster.set_member("node-1", "taint", taint);
        assert_eq!(looks(&node).0, Some(0));
        fs::remove_dir_all(cluster.path("cluster/nodes/node-1")).unwrap();
        let (code, said) = looks(&node);
        assert_eq!(code, Some(0), "{said}");
        assert!(cluster.member("node-1", "label").starts_with("node-role.kubernetes.io/control-plane= "));
        assert_eq!(cluster.member("node-1", "taint"), expected);
    }
}

#[test]
fn a_kubelet_that_does_not_register_is_told() {
    let cluster = Cluster::new("1.34.2");
    let node = cluster.node(2, "1.34.2");
    support::put_program(&node.path("bin/deaf"), "#!/bin/sh\n");
    fs::remove_file(node.path("bin/systemctl")).unwrap();
    std::os::unix::fs::symlink("deaf", node.path("bin/systemctl")).unwrap();
    fs::remove_dir_all(cluster.path("cluster/nodes/node-2")).unwrap();
    let (code, said) = looks(&node);
    assert!(code == Some(1) && said.contains("kubelet has not registered node-2"), "{said}");
}
