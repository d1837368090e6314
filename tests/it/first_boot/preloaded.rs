//! Cards that have their packages and images on them: no network but the cluster's own is there.

use std::fs;
use std::time::{Duration, SystemTime};

use super::node::{Node, Role};
use super::{assert_tidy, deeds};

const PAYLOAD: &str = "var/lib/pibake/payload";

/// As kubeadm lists them (`recorder.sh`), and one more: those that every node has, and those of the control plane.
const ANY_NODE: &str = "registry.k8s.io/pause:3.10.1\nregistry.k8s.io/coredns/coredns:v1.12.1\nflannel:v1";
const CONTROL_PLANE: &str = "registry.k8s.io/kube-apiserver:v1.34.2\nregistry.k8s.io/etcd:3.6.5-0";

/// Nothing of the world outside is in reach: no uplink, no time server, no keys.
fn cut_off_from_the_world(role: Role) -> Node {
    let node = Node::new(role);
    for file in ["sources.list", "packages/Packages", "packages/Release"] {
        node.put(&format!("{PAYLOAD}/{file}"), "x\n");
    }
    node.put(&format!("{PAYLOAD}/images.tar"), ANY_NODE);
    if role == Role::ControlPlane {
        node.put(&format!("{PAYLOAD}/images-control-plane.tar"), CONTROL_PLANE);
    }
    for outside in ["clock", "uplink"] {
        node.unset_state(outside);
    }
    let env = node.read("etc/pibake/node.env");
    let keys =
        "DOCKER_KEYRING='/etc/apt/keyrings/docker.asc'\nDOCKER_KEY_URL='https://unreachable.example/gpg'\n";
    node.put("etc/pibake/node.env", &format!("{env}{keys}"));
    node
}

#[test]
fn a_control_plane_comes_up_without_the_world() {
    let node = cut_off_from_the_world(Role::ControlPlane);
    node.complete(&[]);
    insta::assert_snapshot!("preloaded_control_plane_deeds", deeds(&node));
    assert_eq!(node.read_state("births"), "born\n");
    assert_eq!(node.read("var/lib/containerd/imported").trim_end(), format!("{CONTROL_PLANE}\n{ANY_NODE}"));
    assert!(!node.exists(PAYLOAD), "it takes room for nothing");
    assert_tidy(&node);
}

#[test]
fn a_worker_joins_without_the_world() {
    let node = cut_off_from_the_world(Role::Worker);
    node.complete(&[]);
    assert_eq!(node.read_state("joins"), "joined\n");
    assert_eq!(node.read("var/lib/containerd/imported").trim_end(), ANY_NODE);
    let calls = node.calls();
    let at = |words: &str| {
        calls.iter().position(|call| call.contains(words)).unwrap_or_else(|| panic!("{words}: {calls:#?}"))
    };
    // kubelet's package starts it, and it wants the first image at once
    assert!(at("images import") < at(" kubelet=1.34.2-1.1"), "{calls:#?}");
    assert!(at("containerd.io") < at("images import"));
    assert!(!node.exists(PAYLOAD));
    assert_tidy(&node);
}

/// Nothing but the list that was baked is read, and lists of servers are not thrown away.
#[test]
fn apt_is_told_of_nothing_but_what_was_baked() {
    let node = cut_off_from_the_world(Role::Worker);
    node.complete(&[]);
    let calls = node.calls();
    let mut apt = calls.iter().filter(|call| call.starts_with("apt-get ")).peekable();
    assert!(apt.peek().is_some());
    for call in apt {
        for option in [
            "-o Dir::Etc::SourceList=/var/lib/pibake/payload/sources.list ",
            "-o Dir::Etc::SourceParts=/dev/null ",
            "-o Dir::State::Lists=/run/pibake/lists ",
        ] {
            assert!(call.contains(option), "{call}");
        }
    }
    let online = Node::new(Role::Worker);
    online.complete(&[]);
    assert!(!online.calls().iter().any(|call| call.contains("Dir::") || call.starts_with("ctr ")));
}

/// Updates are the package servers'; who reaches none of them is complete without.
#[test]
fn a_node_without_package_servers_does_not_wait_for_updates() {
    let node = || {
        let node = cut_off_from_the_world(Role::Worker);
        let env = node.read("etc/pibake/node.env");
        node.put("etc/pibake/node.env", &format!("{env}UPGRADE='security'\n"));
        node
    };
    let upgrades = |node: &Node| node.calls().iter().any(|call| call.starts_with("unattended-upgrade "));
    let first = node();
    first.complete(&[]);
    let update = |call: &String| call.starts_with("apt-get ") && call.ends_with(" update");
    let update = first.calls().into_iter().rfind(update).unwrap();
    assert!(!update.contains("Dir::") && upgrades(&first), "{update}");

    let cut_off = node();
    cut_off.complete(&[("FAIL_AT", &update)]);
    assert!(!upgrades(&cut_off) && cut_off.status().contains(" upgrade done "), "{}", cut_off.status());
}

#[test]
fn images_that_are_missing_are_pulled() {
    let node = cut_off_from_the_world(Role::ControlPlane);
    node.put(&format!("{PAYLOAD}/images-control-plane.tar"), "registry.k8s.io/etcd:3.6.5-0");
    node.complete(&[]);
    assert!(node.calls().iter().any(|call| call.starts_with("kubeadm config images pull ")));
}

/// A Pi that was never in a network has the time that its image was made with, or earlier.
#[test]
fn a_clock_that_nobody_sets_is_not_before_the_card_was_made() {
    for (says, is_set) in [(1_000_000_001_u64, true), (4_000_000_000, false)] {
        let node = cut_off_from_the_world(Role::Worker);
        node.stand_in_for("date");
        node.state("date", &says.to_string());
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
        let env = fs::File::options().write(true).open(node.root().join("etc/pibake/node.env")).unwrap();
        env.set_modified(made).unwrap();
        node.complete(&[]);
        let set: Vec<String> = node.calls().into_iter().filter(|call| call.starts_with("date -s")).collect();
        let expected: &[&str] = if is_set { &["date -s @1764000000"] } else { &[] };
        assert_eq!(set, expected);
    }
}

/// Packages are installed while time servers have their minute, and certificates come after it.
#[test]
fn a_time_server_may_answer_while_packages_are_installed() {
    for (answers, up) in [(true, "61.00 1.00\n"), (false, "121.00 1.00\n")] {
        let node = cut_off_from_the_world(Role::ControlPlane);
        let mut running = node.start(&[("PIBAKE_SLEEP", "3")]);
        node.await_status(&mut running, &["name=time-servers", "state=working"]);
        let calls = node.calls();
        let called = |what: &str| calls.iter().any(|call| call.starts_with(what));
        assert!(called("ctr --namespace k8s.io images import ") && !called("kubeadm init"), "{calls:#?}");
        if answers {
            node.state("clock", "");
        }
        node.put("proc/uptime", up);
        assert!(running.end(&node).success(), "{}", node.output());
        let log = node.read("var/log/pibake/first-boot.log");
        assert_eq!(log.contains("no time server answers; going on"), !answers, "{log}");
    }
}

/// Where a time server answers it is listened to, and a way out is no harm.
#[test]
fn what_is_in_reach_is_used() {
    let node = cut_off_from_the_world(Role::ControlPlane);
    for there in ["clock", "uplink"] {
        node.state(there, "");
    }
    node.complete(&[]);
    assert!(!node.exists("run/pibake/clock-not-set"));
    assert!(!node.calls().iter().any(|call| call.starts_with("kubeadm config images pull ")));
}

/// At whatever moment the power goes, the images are containerd's in the end, whole, and nothing waits for a network.
#[test]
fn the_power_may_go_while_images_are_imported_and_when_all_is_used_up() {
    for point in [
        "ctr --namespace k8s.io images import /var/lib/pibake/payload/images.tar @start",
        "ctr --namespace k8s.io images import /var/lib/pibake/payload/images.tar @import begun",
        "ctr --namespace k8s.io images import /var/lib/pibake/payload/images.tar @end",
        "systemctl enable kubelet @start",
    ] {
        let node = cut_off_from_the_world(Role::Worker);
        node.cut_off_losing(point, &[]);
        node.complete(&[]);
        assert_eq!(node.read("var/lib/containerd/imported").trim_end(), ANY_NODE, "{point}");
        assert!(!node.exists(PAYLOAD), "{point}");
    }
    let node = cut_off_from_the_world(Role::Worker);
    node.complete(&[]);
    // the last marker was lost: the stages that are looked at again find no payload
    fs::remove_file(node.root().join("var/lib/pibake/first-boot/complete")).unwrap();
    node.power_on();
    node.complete(&[]);
}
