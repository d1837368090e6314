//! Two machines on one segment, from the first start to a cluster.

use crate::cluster::{Cluster, free_port};
use crate::machine::Machine;
use crate::ssh::Ssh;
use crate::state;

pub fn two_machines_become_a_cluster() {
    let cluster = Cluster::new();
    let port = free_port();
    let virt = ["--machine", "virt", "--net", cluster.segment()];
    let mut first =
        cluster.boot("node-1", "cards", &[&virt[..], &["--uplink", "--ssh", &port.to_string()]].concat());
    let mut second = cluster.boot("node-2", "cards", &virt);
    let (to_first, to_second) = (cluster.ssh(port), cluster.ssh(port).beyond("10.0.0.2"));

    // in the order in which the one depends on the other
    wait(&mut first, &mut second, "] dhcp: done");
    wait(&mut second, &mut first, "] network: done");
    assert_in_the_network(&cluster, &second, &to_second);
    assert_masqueraded(&first, &to_first);
    wait(&mut first, &mut second, "] control-plane: done");
    wait(&mut second, &mut first, "] join: done");
    wait(&mut first, &mut second, "first boot of node-1 is complete");
    wait(&mut second, &mut first, "first boot of node-2 is complete");

    let calls = state::assert_complete(&cluster, &first, &to_first, "node-1");
    let settled = "--config /run/pibake/kubeadm.yaml";
    assert_eq!(
        calls,
        [
            format!("kubeadm config images pull {settled}"),
            "kubeadm config ended well".into(),
            format!("kubeadm init {settled} --skip-token-print"),
            "kubeadm init ended well".into(),
        ]
    );
    let calls = state::assert_complete(&cluster, &second, &to_second, "node-2");
    assert_eq!(
        calls,
        [
            "kubeadm join --config /etc/pibake/kubeadm.yaml --ignore-preflight-errors DirAvailable--etc-kubernetes-manifests",
            "kubeadm join ended well"
        ]
    );
    assert_order(&to_first, &to_second);
}

/// Waits for what `machine` says, and fails where the other ends meanwhile.
pub fn wait(machine: &mut Machine, other: &mut Machine, text: &str) {
    machine.wait_for(text);
    other.assert_runs();
}

/// node-2 has the address that is reserved for it, from node-1, and knows the others.
pub fn assert_in_the_network(cluster: &Cluster, second: &Machine, ssh: &Ssh) {
    let beyond = format!("{}/mirror/dists/{}/InRelease", cluster.url(), cluster.age.codename);
    let asked = cluster.server.requests().len();
    let answers = ssh.ask(&[
        ("lease", "networkctl status eth0 --no-pager"),
        ("route", "ip -4 route show default"),
        ("names", "getent hosts node-1 kubernetes.cluster.home"),
        ("ping", "ping -c 3 -W 10 node-1"),
        ("beyond", &format!("curl --silent --show-error --fail --output /dev/null --max-time 60 {beyond}?from-node-2 && echo yes")),
    ]);
    assert!(answers["lease"].contains("10.0.0.2 (DHCP4 via 10.0.0.1)"), "{}", &answers["lease"]);
    assert!(answers["route"].starts_with("default via 10.0.0.1 dev eth0"), "{}", &answers["route"]);
    assert!(answers["names"].lines().all(|line| line.starts_with("10.0.0.1 ")), "{}", &answers["names"]);
    assert_eq!(answers["names"].lines().count(), 2);
    assert!(answers["ping"].contains(" 0% packet loss"), "{}", &answers["ping"]);
    assert_eq!(&answers["beyond"], "yes");
    assert!(cluster.server.requests().len() > asked);
    second.note("has its own address, finds node-1, and gets out by way of it");
}

/// QEMU's router answers nobody but node-1, so what came back was masqueraded; so say the rules, too.
fn assert_masqueraded(first: &Machine, ssh: &Ssh) {
    let answers = ssh.ask(&[("rules", "iptables -t nat -v -x -n -L PIBAKE-POSTROUTING")]);
    let rule = answers["rules"].lines().find(|line| line.contains("MASQUERADE")).expect("there is a rule");
    let packets: u64 = rule.split_whitespace().next().unwrap().parse().unwrap();
    assert!(packets > 0 && rule.contains(" eth1 "), "{rule}");
    first.note("what comes from node-2 leaves under node-1's address");
}

/// The worker joined after the control plane was made, and both know of it.
fn assert_order(first: &Ssh, second: &Ssh) {
    let done = "sed -n 's/^step=[0-9]* \\(control-plane\\|join\\) done //p' /var/log/pibake/status";
    let nodes = "ls /var/lib/etcd/member";
    let (first, second) = (first.ask(&[("done", done), ("nodes", nodes)]), second.ask(&[("done", done)]));
    assert!(first["nodes"].contains("nodes_node-1\nnodes_node-2"), "{}", &first["nodes"]);
    assert!(
        !first["done"].is_empty() && first["done"] < second["done"],
        "{} {}",
        &first["done"],
        &second["done"]
    );
}
