//! A Raspberry Pi 4 with the card of node-1, and no way out.

use crate::cluster::{Cluster, free_port};
use crate::machine::Machine;
use support::images::{self, Places};
use support::{run, tool};

pub fn a_pi_alone_waits_for_its_uplink() {
    let cluster = Cluster::new();
    let port = free_port();
    let (mut pi, cards) = switch_on(&cluster, port);
    pi.wait_for("mmcblk0: p1 p2");
    pi.wait_for("EXT4-fs (mmcblk0p2): mounted filesystem");
    pi.wait_for("Cloud-init v. ");
    // packages cannot be had, and the node says so
    pi.wait_for("] network: waiting: there is no interface eth1, the uplink");

    let ssh = cluster.ssh(port);
    let node = ssh.ask(&[
        ("model", "tr -d '\\0' </proc/device-tree/model"),
        ("result", "cat /run/cloud-init/result.json"),
        ("schema", "cloud-init schema --system"),
        ("hostname", "hostname && hostname -f"),
        ("machine-id", "cat /etc/machine-id"),
        ("netplan", "cat /etc/netplan/50-cloud-init.yaml && ls /etc/netplan"),
        ("address", "ip -4 -o address show dev eth0"),
        ("names", "getent hosts node-1 node-2 kubernetes.cluster.home"),
        ("disk", "df --output=size -BM / | tail -n 1"),
        ("first boot", "systemctl is-active pibake-first-boot; cat /var/log/pibake/status"),
        ("ssh", "sshd -T | grep -i '^passwordauthentication\\|^permitrootlogin'; getent shadow ubuntu"),
        (
            "secrets",
            "stat -c '%a %U' /etc/pibake/kubeadm.yaml /etc/pibake/node.env /etc/kubernetes/pki/ca.key",
        ),
        ("seed", "grep -l -r 'ubuntu:ubuntu' /boot/firmware /etc || echo nothing"),
    ]);
    pi.note("logged in with the key that pibake made");
    assert!(node["model"].starts_with("Raspberry Pi 4 Model B"), "{}", &node["model"]);
    let result: serde_json::Value = serde_json::from_str(&node["result"]).unwrap();
    assert_eq!(result["v1"]["errors"], serde_json::json!([]), "{result}");
    assert!(result["v1"]["datasource"].as_str().unwrap().starts_with("DataSourceNoCloud"), "{result}");
    assert_eq!(&node["schema"], "Valid cloud-config: system userdata");
    assert_eq!(&node["hostname"], "node-1\nnode-1.cluster.home");
    assert_eq!(node["machine-id"].len(), 32, "{}", &node["machine-id"]);
    let netplan = node["netplan"].strip_suffix("50-cloud-init.yaml").expect("it is the only file there");
    cluster.assert_baked("node-1", "/etc/netplan/50-cloud-init.yaml", netplan);
    assert!(node["address"].contains(" 10.0.0.1/24 "), "{}", &node["address"]);
    for (line, address) in node["names"].lines().zip(["10.0.0.1", "10.0.0.2", "10.0.0.1"]) {
        assert!(line.starts_with(&format!("{address} ")), "{}", &node["names"]);
    }
    assert_eq!(node["names"].lines().count(), 3, "{}", &node["names"]);
    // the card has 8 GiB, 256 MiB of them for the firmware
    let size: u64 = node["disk"].trim().trim_end_matches('M').parse().unwrap();
    assert!(size > 7400, "the file system has {size} MiB");
    assert!(node["first boot"].starts_with("active\nformat=1\nnode=node-1\n"), "{}", &node["first boot"]);
    assert!(node["first boot"].contains("\nname=network\n"), "{}", &node["first boot"]);
    assert_eq!(node["ssh"].lines().next(), Some("permitrootlogin no"), "{}", &node["ssh"]);
    assert!(node["ssh"].contains("passwordauthentication no"), "{}", &node["ssh"]);
    assert!(node["ssh"].contains("\nubuntu:!"), "the password should be locked: {}", &node["ssh"]);
    assert_eq!(&node["secrets"], "600 root\n600 root\n600 root");
    assert_eq!(&node["seed"], "nothing");

    // no password is taken, not even asked for
    let mut refused = ssh.command(&["-o", "PubkeyAuthentication=no", "-o", "BatchMode=no"]);
    let refused = refused.arg("true").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Permission denied (publickey)"), "{said}");

    // it may take the connection with it
    let _ = ssh.run("poweroff");
    pi.wait_until_off();

    let card = cluster.card("node-1", &cards);
    let logs = cluster.output(&["logs", "--raw", card.to_str().unwrap()]);
    assert!(logs.contains("==> /var/log/pibake/first-boot.log <=="), "{logs}");
    assert!(logs.contains("network: waiting: there is no interface eth1"), "{logs}");
    // it may have been switched off while it waited or while it looked again
    assert!(logs.contains("\nstate=waiting\n") || logs.contains("\nstate=working\n"), "{logs}");
    let message = logs.lines().find(|line| line.starts_with("message=")).unwrap_or_default();
    assert!(message.contains("there is no interface eth1, the uplink"), "{logs}");
    assert!(logs.contains("\nnode=node-1\n") && logs.contains("\nname=network\n"), "{logs}");
    images::assert_clean(&card, places(&cluster, &card));
    pi.note("both file systems are clean, and the card is full");
}

/// How often the Pi is switched on, each time with a new card, until its kernel sees an adapter.
const STARTS: usize = 3;

/// A Pi whose kernel has its network adapter, and the name of the cards that it was started with.
/// It has happened that QEMU's USB brought the Pi to no adapter for 25 minutes, and to one at the next start.
/// Nothing of pibake runs that early.
pub fn switch_on(cluster: &Cluster, port: u16) -> (Machine, String) {
    for start in 1..=STARTS {
        let cards = format!("pi-{start}");
        let mut pi = cluster.boot("node-1", &cards, &["--machine", "raspi4b", "--ssh", &port.to_string()]);
        // first boot's own word comes minutes after the kernel's
        let seen =
            pi.wait_for_one(&["register 'cdc_ether'", "] network: waiting: there is no interface eth0"]);
        if seen == 0 {
            return (pi, cards);
        }
        assert!(!pi.has_said(" eth0: register"), "the kernel has eth0, and first boot does not see it");
        pi.note("QEMU has brought the Pi to no adapter; what its kernel said of USB:");
        for line in pi.lines_with("usb").into_iter().chain(pi.lines_with("hub 1-")) {
            pi.note(&line);
        }
        pi.cut();
    }
    panic!("QEMU has brought the Pi to no network adapter in {STARTS} starts");
}

/// Where the partitions are, as sfdisk sees them.
fn places(cluster: &Cluster, card: &std::path::Path) -> Places {
    let table = run(tool("sfdisk", "fdisk").arg("--json").arg(card).current_dir(cluster.path()));
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let place = |index: usize| {
        let partition = &table["partitiontable"]["partitions"][index];
        let bytes = |name: &str| partition[name].as_u64().unwrap() * 512;
        (bytes("start"), bytes("size"))
    };
    let places = Places { boot: place(0), root: place(1) };
    let end = places.root.0 + places.root.1;
    let len = std::fs::metadata(card).unwrap().len();
    assert!(len - end <= 1 << 20, "{} bytes behind the last partition", len - end);
    places
}
