//! A control plane whose power is cut four times in its first boot.

use std::path::Path;

use crate::cluster::{Cluster, free_port};
use crate::ssh::Ssh;
use crate::state;

/// What a start after a power cut in cloud-init's first run says.
const CLOUD_INIT_ANEW: &str = "the power was cut while cloud-init ran: starting over";

pub fn a_node_goes_on_after_power_cuts() {
    let cluster = Cluster::new();
    cluster.add_file("etc/recorder-holds", "certs\naddons\n");
    let port = free_port();
    let switch_on = || {
        let way_out = ["--machine", "virt", "--uplink", "--ssh", &port.to_string()];
        cluster.boot("node-1", "cards", &way_out)
    };
    let ssh = cluster.ssh(port);

    // cloud-init has made the login user and its keys, and nothing of that is on the disk for sure
    let mut node = switch_on();
    node.wait_for("running 'init' at");
    node.cut();

    // dpkg unpacks
    let mut node = switch_on();
    node.wait_for("first boot of node-1 (control-plane), start 1,");
    assert!(node.has_said(CLOUD_INIT_ANEW));
    node.wait_for("] containerd: working");
    wait_for_dpkg(&ssh, "half-installed containerd.io");
    node.cut();
    let identity = read_card(&cluster);

    // kubeadm has made some of its files; the API server has never run
    let mut node = switch_on();
    node.wait_for("first boot of node-1 (control-plane), start 2,");
    node.wait_for("recorder: holds at certs");
    assert!(!node.has_said(CLOUD_INIT_ANEW));
    node.cut();

    // the API server runs, and kubeadm is not through
    let mut node = switch_on();
    node.wait_for("first boot of node-1 (control-plane), start 3,");
    node.wait_for("recorder: holds at addons");
    node.cut();

    let mut node = switch_on();
    node.wait_for("first boot of node-1 (control-plane), start 4,");
    node.wait_for("first boot of node-1 is complete");
    assert!(!node.has_said(CLOUD_INIT_ANEW));
    let calls = state::assert_complete(&cluster, &node, &ssh, "node-1");
    assert_calls(&calls);
    assert_nothing_twice(&cluster, &ssh);
    let answers = ssh.ask(&[
        ("identity", &format!("cat {}", IDENTITY.join(" "))),
        ("ca", "cat /etc/kubernetes/pki/ca.crt"),
        ("ca key", "cat /etc/kubernetes/pki/ca.key"),
    ]);
    assert_eq!(&answers["identity"], identity.trim_end(), "it is another machine since it was set up");
    assert_eq!(&answers["ca"], cluster.secret("ca.crt"), "the CA is not the baked one");
    assert_eq!(&answers["ca key"], cluster.secret("ca.key"));
    node.note("nothing was done twice, and the CA is the baked one");
}

/// What a machine is known by: made once, by systemd and by cloud-init.
const IDENTITY: [&str; 2] = ["/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"];

/// Waits until dpkg has written `text` to its log.
fn wait_for_dpkg(ssh: &Ssh, text: &str) {
    let seen = ssh.run(&format!("until grep -q '{text}' /var/log/dpkg.log; do sleep 0.5; done"));
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
}

/// Reads the card as it lies there, its journal not replayed: where first boot stands, and who the
/// machine is.
fn read_card(cluster: &Cluster) -> String {
    let card = cluster.card("node-1", "cards");
    let path = card.to_str().unwrap();
    let logs = cluster.output(&["logs", "--raw", path]);
    assert!(logs.contains("] containerd: working\n"), "{logs}");
    assert!(logs.contains("\nstate=working\n") && logs.contains("\nname=containerd\n"), "{logs}");
    assert!(logs.contains("\nstarts=1\n"), "{logs}");
    let identity = IDENTITY.map(|path_on_card| cluster.output(&["inspect", path, path_on_card]));
    remove(&card);
    identity.concat()
}

/// A copy of a card has its size.
fn remove(card: &Path) {
    std::fs::remove_file(card).unwrap();
}

/// kubeadm began twice, was told to forget what it had made before there was an API server, and
/// never afterwards: then only what was missing was made.
fn assert_calls(calls: &[String]) {
    let settled = "--config /run/pibake/kubeadm.yaml";
    let init = format!("kubeadm init {settled} --skip-token-print");
    let mut expected = vec![
        format!("kubeadm config images pull {settled}"),
        "kubeadm config ended well".into(),
        init.clone(),
        "kubeadm reset --force".into(),
        "kubeadm reset ended well".into(),
        init,
    ];
    for phase in
        ["upload-config all", "mark-control-plane", "bootstrap-token", "kubelet-finalize all", "addon all"]
    {
        expected.push(format!("kubeadm init phase {phase} {settled}"));
        expected.push("kubeadm init ended well".into());
    }
    assert_eq!(calls, expected);
}

/// Stages that were over were not done again, and packages that were there not fetched again.
fn assert_nothing_twice(cluster: &Cluster, ssh: &Ssh) {
    let log = ssh.ask(&[("log", "cat /var/log/pibake/first-boot.log")]);
    for stage in ["packages", "keyrings", "kubernetes", "images", "pod-network", "kubectl", "ready", "tidy"] {
        for state in ["working", "done"] {
            let line = format!("] {stage}: {state}");
            let times = log["log"].matches(&line).count();
            // what was so already was not worked at
            assert!(
                times == 1 || (times == 0 && state == "working"),
                "{times} times {line}\n{}",
                &log["log"]
            );
        }
    }
    for stage in ["containerd", "control-plane"] {
        assert_eq!(log["log"].matches(&format!("] {stage}: done")).count(), 1, "{stage}\n{}", &log["log"]);
    }
    let requests = cluster.server.requests();
    for package in ["isc-dhcp-server_", "kubeadm_", "kubelet_", "kubectl_"] {
        let times = requests.iter().filter(|line| line.contains(&format!("/{package}"))).count();
        assert_eq!(times, 1, "{package} was fetched {times} times");
    }
}
