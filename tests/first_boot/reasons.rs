//! Why it does not go on, in words for people.

use std::fmt::Write;

use crate::node::{Node, Role};
use crate::support;

/// What `node` says when it stops in the stage `stage`.
fn message(node: &Node, stage: &str, state: &str) -> String {
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &[&format!("name={stage}"), &format!("state={state}")]);
    let message = status.lines().find_map(|line| line.strip_prefix("message=")).unwrap();
    // How long the pause is depends on how many there were.
    let message = message.rsplit_once("; ").unwrap().0;
    format!("{stage}: {}\n", message.replace(node.root().to_str().unwrap(), ""))
}

#[test]
fn what_a_stage_waits_for_is_said() {
    let mut said = String::new();
    let mut case = |role, stage, state, spoil: &dyn Fn(&Node)| {
        let node = Node::new(role);
        spoil(&node);
        said.push_str(&message(&node, stage, state));
    };
    let remove = |node: &Node, path: &str| std::fs::remove_file(node.root().join(path)).unwrap();
    use Role::{ControlPlane, Worker};
    case(Worker, "cloud-init", "waiting", &|n| remove(n, "run/cloud-init/result.json"));
    case(Worker, "disk", "retrying", &|n| n.state("free", "300"));
    case(Worker, "network", "waiting", &|n| n.unset_state("link"));
    case(Worker, "network", "waiting", &|n| {
        n.unset_state("link");
        n.put("sys/class/net/eth0/carrier", "0\n");
    });
    case(Worker, "network", "waiting", &|n| n.state("address", "192.168.1.55"));
    case(ControlPlane, "network", "waiting", &|n| n.unset_state("uplink"));
    case(ControlPlane, "network", "waiting", &|n| {
        n.unset_state("uplink");
        n.put("sys/class/net/wlan0/carrier", "0\n");
    });
    case(Worker, "clock", "waiting", &|n| n.unset_state("clock"));
    case(Worker, "kernel", "retrying", &|n| remove(n, "proc/cgroups"));
    case(ControlPlane, "control-plane", "retrying", &|n| remove(n, "etc/kubernetes/pki/ca.key"));
    insta::assert_snapshot!(said);
}

#[test]
fn what_was_waited_for_is_noticed() {
    let mended = |role, stage: &str, spoil: &dyn Fn(&Node), mend: &dyn Fn(&Node)| {
        let node = Node::new(role);
        spoil(&node);
        let mut running = node.start(&[]);
        node.await_status(&mut running, &[&format!("name={stage}"), "state=waiting"]);
        mend(&node);
        assert!(running.end(&node).success(), "{stage}: {}", node.output());
    };
    let result = "run/cloud-init/result.json";
    mended(Role::Worker, "cloud-init", &|n| std::fs::remove_file(n.root().join(result)).unwrap(), &|n| {
        n.put(result, "{}")
    });
    mended(Role::Worker, "network", &|n| n.unset_state("link"), &|n| n.state("link", ""));
    mended(Role::ControlPlane, "network", &|n| n.unset_state("uplink"), &|n| n.state("uplink", ""));
    mended(Role::Worker, "clock", &|n| n.unset_state("clock"), &|n| n.state("clock", ""));
    mended(Role::Worker, "join", &|n| n.unset_state("control-plane-up"), &|n| {
        n.state("control-plane-up", "")
    });
}

#[test]
fn a_broken_node_env_is_said() {
    let node = Node::new(Role::Worker);
    let whole = node.read("etc/pibake/node.env");
    node.put("etc/pibake/node.env", &whole.replace("CONTROL_PLANE=", "OTHER="));
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["state=retrying"]);
    assert!(status.contains("node.env has no CONTROL_PLANE: bake the card again"), "{status}");
    node.put("etc/pibake/node.env", &whole);
    assert!(running.end(&node).success());
}

/// The words of real programs, each with the sentence made of them.
#[test]
fn failures_are_explained() {
    let printed = [
        "E: You don't have enough free space in /var/cache/apt/archives/.\nwrite error: No space left on device",
        "cp: cannot create '/x': Read-only file system",
        "W: Failed to fetch http://ports.ubuntu.com/dists/focal/InRelease  Temporary failure resolving 'ports.ubuntu.com'",
        "dial tcp: lookup registry.k8s.io: no such host",
        "Cannot initiate the connection to 10.1.1.1:80. - connect (101: Network is unreachable)",
        "E: Release file for http://x/InRelease is not valid yet (invalid for another 3h).",
        "x509: certificate has expired or is not yet valid: current time 2020-04-01 is before",
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt-get)",
        "W: GPG error: https://x InRelease: The following signatures couldn't be verified: NO_PUBKEY 234654DA9A296436",
        "E: Unable to locate package containerd.io",
        "E: Version '1.34.99-*' for 'kubeadm' was not found",
        "E: Failed to fetch https://pkgs.k8s.io/v1.99/deb/InRelease  404  Not Found [IP: 1.2.3.4 443]",
        "E: Failed to fetch https://x/y.deb  403  Forbidden",
        "E: Failed to fetch http://x/Packages.gz  Hash Sum mismatch",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "[ERROR SystemVerification]: missing required cgroups: memory",
        "[ERROR Swap]: running with swap on is not supported",
        "[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2",
        "failed to pull image \"registry.k8s.io/etcd:3.6.5-0\": output: E1123",
        "[ERROR CRI]: container runtime is not running: output: validate connection",
        "could not find a JWS signature in the cluster-info ConfigMap for token ID \"abcdef\"",
        "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"sha256:1\" are pinned",
        "error execution phase wait-control-plane: timed out waiting for the condition",
        "dial tcp 10.0.0.1:6443: connect: connection refused",
        "Err: Connection timed out [IP: 1.2.3.4 80]",
        "first line\nsomething nobody foresaw",
        "",
    ];
    let node = Node::new(Role::Worker);
    let mut said = String::new();
    for text in printed {
        node.put("printed", text);
        let mut diagnose = support::tool("sh", "dash");
        diagnose.arg(node.root().join("usr/lib/pibake/lib/diagnose")).arg(node.root().join("printed"));
        let sentence = support::run(&mut diagnose);
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        let sentence = sentence.split(" It says 2").next().unwrap().trim_end();
        writeln!(said, "{}\n    {sentence}", text.replace('\n', " | ")).unwrap();
    }
    insta::assert_snapshot!(said);
}

/// The reason is one line, also where a program printed many.
#[test]
fn a_failing_command_is_quoted_in_the_status() {
    let node = Node::new(Role::Worker);
    let call = "kubeadm join --config /etc/pibake/kubeadm.yaml";
    node.complete(&[("FAIL_AT", call)]);
    let log = node.read("var/log/pibake/first-boot.log");
    assert!(
        log.contains(
            "join: retrying: it failed, saying: E: kubeadm refuses, for the test; trying again in 5 s"
        ),
        "{log}"
    );
    assert!(log.contains("join: retrying (attempt 2): it failed, saying:"), "{log}");
}
