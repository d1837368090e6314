//! Power cuts and failures, at every point.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::node::{Node, Role};

const INIT: &str = "kubeadm init --config /run/pibake/kubeadm.yaml --skip-token-print";

/// Calls `test` with each of `items`, a few at a time.
pub(super) fn each<T: Sync>(items: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    test(item);
                }
            });
        }
    });
}

/// Without repetitions, in the order of their first appearance.
pub(super) fn distinct(lines: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.into_iter().filter(|line| seen.insert(line.clone())).collect()
}

/// Of what a node of that role does, what the control plane, which has stages of both kinds, does
/// not do in the same words.
fn own(role: Role, lines: Vec<String>) -> Vec<String> {
    let mut lines = distinct(lines);
    if role == Role::Worker {
        let common = undisturbed(Role::ControlPlane).trace();
        lines.retain(|line| !common.iter().any(|point| point.starts_with(line.as_str())));
    }
    lines
}

/// A node that came up undisturbed.
fn undisturbed(role: Role) -> Node {
    let node = Node::new(role);
    node.complete(&[]);
    node
}

pub(super) fn assert_same(cut: &Node, whole: &Node, when: &str) {
    let (cut_disk, whole_disk) = (cut.disk(), whole.disk());
    for (name, text) in &whole_disk {
        assert_eq!(cut_disk.get(name), Some(text), "{name} after {when}\n{}", cut.output());
    }
    let more: Vec<_> = cut_disk.keys().filter(|name| !whole_disk.contains_key(*name)).collect();
    assert!(more.is_empty(), "{more:?} are left after {when}");
}

/// Where a cut finds the disk as no other cut does. Reading changes nothing: being cut off there
/// is being cut off between what stands around it. Of the stages that do nothing but wait, it is
/// the only point there is. What is done at one stroke is cut off before, and, at the start of
/// what follows, after.
pub(super) fn worth_a_cut(point: &str) -> bool {
    let waiting = [
        "df ",
        "ip -4 -o addr show dev eth0 ",
        "timedatectl ",
        "systemctl --quiet is-active isc-dhcp-server",
        "getent ",
        "kubectl --kubeconfig /etc/kubernetes/kubelet",
    ];
    let at_one_stroke = ["systemctl ", "modprobe ", "sysctl ", "apt-mark ", "dpkg ", "kubeadm config "];
    if only_reads(point) {
        point.ends_with("@start") && waiting.iter().any(|wait| point.starts_with(wait))
    } else {
        let stroke = point.contains(" update @") || at_one_stroke.iter().any(|deed| point.starts_with(deed));
        !(stroke && point.ends_with("@end"))
    }
}

fn only_reads(point: &str) -> bool {
    let reads = [
        "dpkg-query",
        "df",
        "ip",
        "timedatectl",
        "getent",
        "chronyc",
        "dpkg --verify",
        "systemctl --quiet is-",
    ];
    reads.iter().any(|read| point.starts_with(read)) || point.contains(" get ") || point.contains("showhold")
}

fn cut_everywhere(role: Role) {
    let whole = undisturbed(role);
    let points: Vec<_> = own(role, whole.trace()).into_iter().filter(|p| worth_a_cut(p)).collect();
    assert!(points.len() >= 5, "{points:?}");
    println!("{} points: {points:#?}", points.len());
    each(&points, |point| {
        let node = Node::new(role);
        node.cut_off(point, &[]);
        node.complete(&[]);
        // Births of a cluster, joins and installed packages are part of what is compared.
        assert_same(&node, &whole, point);
    });
}

#[test]
fn a_control_plane_survives_a_power_cut_at_every_command() {
    cut_everywhere(Role::ControlPlane);
}

#[test]
fn a_worker_survives_a_power_cut_at_every_command() {
    cut_everywhere(Role::Worker);
}

/// The marker is written, synced and renamed; each may be what the power is cut at.
#[test]
fn a_power_cut_while_a_marker_is_written_is_survived() {
    let whole = undisturbed(Role::ControlPlane);
    let folder = "/var/lib/pibake/first-boot";
    let mut points = Vec::new();
    for file in ["starts", "packages.started", "packages.done", "api-answered", "ca/ca.key", "complete"] {
        for at in ["start", "end"] {
            points.push(format!("sync {folder}/{file}.new @{at}"));
            points.push(format!("mv -f {folder}/{file}.new {folder}/{file} @{at}"));
        }
    }
    let config = format!("/home/{}/.kube/config", super::node::user());
    points.push("mv -f /var/log/pibake/status.new /var/log/pibake/status @start".into());
    points.push(format!("mv -f {config}.new {config} @start"));
    // The first secret is gone, the others are not.
    points.push("sync /etc/pibake @start".into());
    each(&points, |point| {
        let node = Node::new(Role::ControlPlane);
        node.stand_in_for("mv");
        node.stand_in_for("sync");
        node.cut_off(point, &[]);
        node.complete(&[]);
        assert_same(&node, &whole, point);
    });
}

/// One cut after another, the next at each attempt: three times in the worst places.
#[test]
fn power_cuts_that_follow_each_other_are_survived() {
    let whole = undisturbed(Role::ControlPlane);
    let node = Node::new(Role::ControlPlane);
    for point in ["certificate begun", "manifests begun"] {
        node.cut_off(&format!("{INIT} @{point}"), &[]);
    }
    node.cut_off("kubeadm reset --force @certificates removed", &[]);
    node.complete(&[]);
    assert_same(&node, &whole, "three cuts");
}

fn fail_everywhere(role: Role) {
    let whole = undisturbed(role);
    let commands = own(role, whole.calls());
    assert!(commands.len() >= 3, "{commands:?}");
    println!("{} commands: {commands:#?}", commands.len());
    each(&commands, |command| {
        let node = Node::new(role);
        node.complete(&[("FAIL_AT", command)]);
        assert_eq!(node.read_state("failures").lines().count().min(1), 1, "{command}");
        assert_same(&node, &whole, command);
    });
}

#[test]
fn a_control_plane_rides_out_two_failures_of_each_command() {
    fail_everywhere(Role::ControlPlane);
}

#[test]
fn a_worker_rides_out_two_failures_of_each_command() {
    fail_everywhere(Role::Worker);
}

/// A command that gives up in the middle leaves the same as a power cut, with the power on.
#[test]
fn commands_that_give_up_in_the_middle_are_ridden_out() {
    for role in [Role::ControlPlane, Role::Worker] {
        let whole = undisturbed(role);
        let middles: Vec<_> = distinct(whole.trace())
            .into_iter()
            .filter(|point| {
                point.starts_with("kube") && !point.ends_with("@start") && !point.ends_with("@end")
            })
            .collect();
        assert!(middles.len() >= 3, "{middles:?}");
        each(&middles, |point| {
            let node = Node::new(role);
            node.complete(&[("BREAK_AT", point)]);
            assert_same(&node, &whole, point);
        });
    }
}

/// The database is torn, so the API server cannot come up, and never has: made anew, with the CA.
#[test]
fn a_control_plane_that_never_came_up_is_made_anew() {
    let whole = undisturbed(Role::ControlPlane);
    let node = Node::new(Role::ControlPlane);
    node.cut_off(&format!("{INIT} @manifests written"), &[]);
    node.state("etcd-torn", "");
    node.complete(&[]);
    assert!(node.calls().iter().any(|call| call == "kubeadm reset --force"));
    assert_same(&node, &whole, "a torn database");
}

/// It was up once, so others may be part of it: never thrown away, be it cut off at once or while
/// kubeadm still is at work. All that it is made of was on the disk before that was noted.
#[test]
fn a_control_plane_that_was_up_is_never_reset() {
    let marker = "/var/lib/pibake/first-boot/api-answered";
    for point in [&format!("mv -f {marker}.new {marker} @end"), &format!("{INIT} @workers can join")] {
        let node = Node::new(Role::ControlPlane);
        node.stand_in_for("mv");
        node.cut_off_losing(point, &[]);
        assert!(node.exists("var/lib/pibake/first-boot/api-answered"), "{point}");
        node.state("etcd-torn", "");
        let mut running = node.start(&[]);
        let status = node.await_status(&mut running, &["name=control-plane", "state=retrying"]);
        assert!(status.contains("was up once and does not answer now"), "{point}: {status}");
        node.unset_state("etcd-torn");
        assert!(running.end(&node).success());
        assert!(!node.calls().iter().any(|call| call.starts_with("kubeadm reset")), "{point}");
        assert_eq!(node.calls().iter().filter(|call| *call == INIT).count(), 1, "{point}");
        assert_eq!(node.read_state("births"), "born\n", "{point}");
    }
}

/// It gets as long to come up again as it had to come up at first.
#[test]
fn a_control_plane_is_given_time_to_come_up_again() {
    let node = Node::new(Role::ControlPlane);
    node.cut_off(&format!("{INIT} @workers can join"), &[]);
    node.state("etcd-torn", "");
    let mut running = node.start(&[("PIBAKE_PATIENCE", "1200")]);
    let asked = || node.calls().iter().filter(|call| call.ends_with("get --raw /readyz")).count();
    let before = asked();
    node.await_status(&mut running, &["name=control-plane", "state=working", "starts=2"]);
    let begun = std::time::Instant::now();
    while asked() < before + 70 {
        assert!(begun.elapsed().as_secs() < 120, "{}", node.output());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(node.status().contains("\nstate=working\n"), "{}", node.status());
    node.unset_state("etcd-torn");
    assert!(running.end(&node).success());
}

/// What was not synced is lost with the power: nothing that is noted may hang on it.
#[test]
fn what_is_noted_as_done_is_on_the_disk() {
    for role in [Role::ControlPlane, Role::Worker] {
        let whole = undisturbed(role);
        let points: Vec<_> = own(role, whole.trace())
            .into_iter()
            .filter(|point| point.starts_with("kubeadm") || point.contains("disable pibake-first-boot"))
            .collect();
        assert!(points.len() >= 5, "{points:?}");
        each(&points, |point| {
            let node = Node::new(role);
            node.cut_off_losing(point, &[]);
            node.complete(&[]);
            // A certificate that never reached the disk is asked for once more.
            let (mut cut, mut sound) = (node.disk(), whole.disk());
            for disk in [&mut cut, &mut sound] {
                disk.remove("state/joins");
            }
            assert_eq!(cut, sound, "{point}\n{}", node.output());
        });
    }
}

/// kubeadm gave up waiting, but the API server comes a little later: completed, not made anew.
#[test]
fn a_slow_control_plane_is_completed() {
    let node = Node::new(Role::ControlPlane);
    node.complete(&[("BREAK_AT", &format!("{INIT} @manifests written"))]);
    let calls = node.calls();
    assert!(!calls.iter().any(|call| call.starts_with("kubeadm reset")), "{calls:#?}");
    assert!(calls.iter().any(|call| call.starts_with("kubeadm init phase addon all")), "{calls:#?}");
}

#[test]
fn cloud_init_begins_anew_where_it_was_cut_off_and_only_there() {
    let cleaned = |node: &Node| node.calls().iter().filter(|call| *call == "cloud-init clean").count();
    let node = Node::new(Role::Worker);
    node.guard_cloud_init("start");
    assert_eq!(cleaned(&node), 0, "there is nothing to clean at the very first start");
    node.put("var/lib/cloud/instance/obj.pkl", "");
    node.guard_cloud_init("start");
    assert_eq!(cleaned(&node), 1, "a power cut");
    // a restart that the user's cloud-config asks for, and a power cut after it
    node.guard_cloud_init("stop");
    node.guard_cloud_init("start");
    assert_eq!(cleaned(&node), 1, "an orderly restart");
    node.guard_cloud_init("start");
    assert_eq!(cleaned(&node), 2, "a power cut after an orderly restart");
    node.complete(&[]);
    node.guard_cloud_init("start");
    assert_eq!(cleaned(&node), 2, "cloud-init was through");
}
