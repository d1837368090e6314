//! The oldest and the newest system that pibake bakes for: one node of each through the whole of its first boot.

use crate::cluster::{Cluster, free_port};
use crate::machine::Machine;
use crate::ssh::Ssh;
use crate::state;
use support::standin::{self, Age};

pub fn oldest_system() {
    first_boot_of(&standin::OLDEST, |node, ssh| {
        let system = system(ssh);
        assert!(system["systemd"].starts_with("systemd 247 "), "{}", &system["systemd"]);
        assert!(system["cloud-init"].contains(" 20.4"), "{}", &system["cloud-init"]);
        // as Ubuntu 20.04 has them: systemd's own hierarchy beside those of the controllers
        assert_eq!(&system["cgroups"], "tmpfs");
        assert!(system["memory"].contains(" - cgroup "), "{}", &system["memory"]);
        node.note("cgroup v1, systemd 247, cloud-init 20.4");
    });
}

pub fn newest_system() {
    first_boot_of(&standin::NEWEST, |node, ssh| {
        let system = system(ssh);
        assert!(system["systemd"].starts_with("systemd 257 "), "{}", &system["systemd"]);
        assert!(system["cloud-init"].contains(" 25.1"), "{}", &system["cloud-init"]);
        assert_eq!(&system["cgroups"], "cgroup2fs");
        assert_eq!(&system["tmp"], "tmpfs");
        assert_eq!(&system["sources"], "/etc/apt/sources.list.d/debian.sources");
        assert_slot(node, ssh);
        node.note("cgroup v2 alone, systemd 257, cloud-init 25.1 as one process, /tmp in memory");
    });
}

/// node-1 from the power to the end of its first boot, and what is true of it then.
fn first_boot_of(age: &'static Age, is_what_it_should_be: fn(&Machine, &Ssh)) {
    let cluster = Cluster::of_age(age);
    let port = free_port();
    let way_out = ["--machine", "virt", "--uplink", "--ssh", &port.to_string()];
    let mut node = cluster.boot("node-1", "cards", &way_out);
    node.wait_for("finished at");
    let ssh = cluster.ssh(port);
    is_what_it_should_be(&node, &ssh);
    assert_network(&cluster, &node, &ssh);
    node.wait_for("first boot of node-1 is complete");
    let calls = state::assert_complete(&cluster, &node, &ssh, "node-1");
    assert_eq!(calls.last().map(String::as_str), Some("kubeadm init ended well"), "{calls:?}");
}

/// What kind of system it is.
fn system(ssh: &Ssh) -> crate::ssh::Answers {
    ssh.ask(&[
        ("systemd", "systemctl --version"),
        ("cloud-init", "cloud-init --version"),
        ("cgroups", "stat --file-system --format %T /sys/fs/cgroup"),
        ("memory", "grep ' /sys/fs/cgroup/memory ' /proc/self/mountinfo || true"),
        ("tmp", "findmnt --noheadings --output FSTYPE --target /tmp"),
        ("sources", "grep -l -r -s . /etc/apt/sources.list.d --include='debian*' || true"),
    ])
}

/// The network is the baked one, and nobody else's is beside it.
pub fn assert_network(cluster: &Cluster, node: &Machine, ssh: &Ssh) {
    let answers = ssh.ask(&[
        ("result", "cat /run/cloud-init/result.json"),
        ("netplan", "cat /etc/netplan/50-cloud-init.yaml && ls /etc/netplan"),
        ("address", "ip -4 -o address show dev eth0"),
        ("hostname", "hostname && hostname -f"),
    ]);
    let result: serde_json::Value = serde_json::from_str(&answers["result"]).unwrap();
    assert_eq!(result["v1"]["errors"], serde_json::json!([]), "{result}");
    assert!(result["v1"]["datasource"].as_str().unwrap().starts_with("DataSourceNoCloud"), "{result}");
    let netplan = answers["netplan"].strip_suffix("50-cloud-init.yaml").expect("it is the only file there");
    // of a file of the user's, as the oldest system's is, the plan shows nothing
    let baked = cluster.output(&["inspect", "images/node-1.img", "/etc/netplan/50-cloud-init.yaml"]);
    assert_eq!(netplan, baked);
    assert!(answers["address"].contains(" 10.0.0.1/24 "), "{}", &answers["address"]);
    assert_eq!(&answers["hostname"], "node-1\nnode-1.cluster.home");
    node.note("logged in with the key that pibake made; the network is the baked one");
}

/// All that the kernel was started with came out of the folder that 26.04 has for it, with what pibake put there.
pub fn assert_slot(node: &Machine, ssh: &Ssh) {
    let answers = ssh.ask(&[
        ("slot", "cd /boot/firmware && ls -d current/vmlinuz current/initrd.img current/cmdline.txt"),
        ("top", "cd /boot/firmware && ls vmlinuz initrd.img cmdline.txt new 2>/dev/null || true"),
        ("arguments", "cat /boot/firmware/current/cmdline.txt"),
        ("started with", "cat /proc/cmdline"),
    ]);
    assert_eq!(answers["slot"].lines().count(), 3, "{}", &answers["slot"]);
    assert_eq!(&answers["top"], "");
    for argument in ["multipath=off", "root=PARTUUID=", "cgroup_enable=memory"] {
        for line in [&answers["arguments"], &answers["started with"]] {
            assert!(line.split_whitespace().any(|word| word.starts_with(argument)), "{argument}: {line}");
        }
    }
    node.note("started from current/");
}
