//! Every file that is rendered, for the clusters that people have.

use std::fmt::Write;

use pibake::cluster::*;
use pibake::recipe::{Action, Recipe, Volume};

use crate::fixture::{book, closed, lan, odd, of, on, wired_uplink, with_nodes};

/// All changes of a recipe as one text. Files that are baked as they are in `overlays/` are named
/// only: what they say is kept there.
fn everything(recipe: &Recipe) -> String {
    selected(recipe, |_| true)
}

fn selected(recipe: &Recipe, shown: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    for change in &recipe.changes {
        let path = change.path.as_str();
        if !shown(path) {
            continue;
        }
        let label = change.volume.label();
        match &change.action {
            Action::Write { content, access, secrecy } => {
                let secret = if secrecy.is_secret() { " secret" } else { "" };
                let group = if access.gid == 0 { String::new() } else { format!(" group {}", access.gid) };
                writeln!(out, "### {label}:{path} {:04o}{group}{secret}", access.mode).unwrap();
                // the list of all these names what stands here, with digests of it
                if is_static(change.volume, path) || path == "/usr/lib/pibake/baked" {
                    continue;
                }
                // An id hangs on all files, also on those that this text does not show.
                let text = String::from_utf8_lossy(content);
                for line in text.lines() {
                    match line.split_once("instance-id: ") {
                        Some((_, id)) => {
                            let id = id.trim_end_matches('"').rsplit_once('-').unwrap().0;
                            writeln!(out, "instance-id: {id}-…\"").unwrap();
                        }
                        None => writeln!(out, "{line}").unwrap(),
                    }
                }
            }
            other => writeln!(out, "### {label}:{path} {other:?}").unwrap(),
        }
    }
    out
}

fn is_static(volume: Volume, path: &str) -> bool {
    let folders: &[&str] = match volume {
        Volume::Root => &["overlays/common", "overlays/control-plane", "overlays/worker"],
        Volume::Boot => &["cloud-init"],
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    folders.iter().any(|folder| std::path::Path::new(&format!("{root}{folder}{path}")).is_file())
}

fn is_kubernetes(path: &str) -> bool {
    ["/etc/pibake/", "/etc/containerd/", "/etc/apt/sources", "/etc/apt/preferences", "/cmdline"]
        .iter()
        .any(|part| path.starts_with(part))
}

fn is_network(path: &str) -> bool {
    ["/etc/netplan/", "/etc/dhcp/", "/etc/hosts", "/etc/default/", "/etc/systemd/", "/cmdline"]
        .iter()
        .any(|part| path.starts_with(part))
}

#[test]
fn the_books_control_plane() {
    insta::assert_snapshot!(everything(&of(&book(), 1)));
}

#[test]
fn the_books_workers() {
    insta::assert_snapshot!(everything(&of(&book(), 2)));
    insta::assert_snapshot!("the_books_last_worker", everything(&of(&book(), 4)));
}

#[test]
fn workers_differ_only_in_who_they_are() {
    let (two, three) = (of(&book(), 2), of(&book(), 3));
    let differ: Vec<_> = two
        .changes
        .iter()
        .zip(&three.changes)
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.path.as_str())
        .collect();
    let who = [
        "/etc/hostname",
        "/etc/pibake/kubeadm.yaml",
        "/etc/pibake/node.env",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/usr/lib/pibake/baked",
    ];
    assert_eq!(differ, [&["/meta-data", "/user-data"], &who[..]].concat());
}

#[test]
fn a_network_with_a_router_of_its_own() {
    for (name, addressing) in [("static", LanAddressing::Static), ("dhcp", LanAddressing::Dhcp)] {
        let cluster = lan(addressing);
        let one = selected(&of(&cluster, 1), |path| is_network(path) || is_kubernetes(path));
        insta::assert_snapshot!(format!("lan_{name}_control_plane"), one);
        insta::assert_snapshot!(format!("lan_{name}_worker"), selected(&of(&cluster, 2), is_network));
    }
}

#[test]
fn three_nodes_and_a_hundred() {
    insta::assert_snapshot!("3_nodes", selected(&of(&with_nodes(3), 1), is_network));
    insta::assert_snapshot!("100_nodes", selected(&of(&with_nodes(100), 1), is_network));
}

#[test]
fn kubernetes_by_version() {
    for (minor, patch) in [(24, Some(17)), (31, None), (34, Some(2))] {
        let mut cluster = book();
        cluster.kubernetes.version = Some(KubernetesVersion { minor, patch });
        for (number, role) in [(1, "control_plane"), (2, "worker")] {
            let shown = selected(&of(&cluster, number), is_kubernetes);
            insta::assert_snapshot!(format!("kubernetes_1_{minor}_{role}"), shown);
        }
    }
}

#[test]
fn containerd_by_version() {
    for (major, minor) in [(1, 7), (2, 1)] {
        let mut cluster = book();
        cluster.kubernetes.version = Some(KubernetesVersion::minor(34));
        cluster.kubernetes.containerd = Some(ContainerdVersion::line(major, minor));
        let recipe = on(&cluster, "24.04", 2);
        let shown = selected(&recipe, |path| path.starts_with("/etc/containerd/"));
        insta::assert_snapshot!(format!("containerd_{major}_{minor}"), shown);
    }
}

#[test]
fn an_uplink_by_cable() {
    let recipe = of(&wired_uplink(), 1);
    insta::assert_snapshot!(selected(&recipe, |path| is_network(path) || path.ends_with("node.env")));
}

#[test]
fn odd_names_and_passwords() {
    insta::assert_snapshot!(everything(&of(&odd(), 1)));
}

#[test]
fn a_closed_network() {
    insta::assert_snapshot!(everything(&of(&closed(), 2)));
}
