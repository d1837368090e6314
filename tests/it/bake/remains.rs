//! Bases that were in use: a node's is refused, any other is cleaned of what made it one machine.

use std::path::{Path, PathBuf};

use pibake::bake::{Error, Preparation, preparations};
use pibake::recipe::{Action, Change, Recipe, Volume};

use super::{NOW, bake, device, recipe, write, write_out};
use support::images::{self, ROOT_FILES, Spec};
use support::{run, tool};

/// A base with these files, and a link for each content that begins with `->`.
fn base(dir: &Path, files: &[(&str, &str)]) -> (PathBuf, images::Places) {
    let root = dir.join("root");
    for (path, content) in ROOT_FILES.iter().chain(files) {
        let at = root.join(path);
        match content.strip_prefix("->") {
            Some(target) => {
                std::fs::create_dir_all(at.parent().unwrap()).unwrap();
                let _ = std::fs::remove_file(&at);
                std::os::unix::fs::symlink(target, at).unwrap();
            }
            None => images::put(&at, content),
        }
    }
    Spec { ext4_mib: 32, ..Spec::default() }.make_from(dir, &root)
}

fn prepared(files: &[(&str, &str)], recipe: &Recipe) -> Result<Vec<Preparation>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = base(dir.path(), files);
    preparations(device(&image), recipe)
}

fn paths(files: &[(&str, &str)]) -> Vec<String> {
    let found = prepared(files, &recipe()).unwrap();
    found.iter().map(|preparation| preparation.change.path.to_string()).collect()
}

const ID: &str = "0123456789abcdef0123456789abcdef\n";

#[test]
fn a_stock_image_is_left_alone() {
    let stock = [
        ("etc/machine-id", "uninitialized\n"),
        ("etc/ssh/sshd_config.d/60-cloudimg-settings.conf", "PasswordAuthentication no\n"),
        ("etc/sysctl.d/10-ptrace.conf", "kernel.yama.ptrace_scope = 1\n"),
        ("etc/sysctl.d/README.sysctl", "text\n"),
        ("etc/sysctl.d/99-sysctl.conf", "->../sysctl.conf"),
        ("etc/cloud/cloud.cfg.d/05_logging.cfg", "x"),
        ("etc/cloud/cloud.cfg.d/50-curtin-networking.cfg", "network: {config: disabled}\n"),
        ("etc/cloud/cloud.cfg.d/99-fake_cloud.cfg", "x"),
        ("etc/iscsi/initiatorname.iscsi", "GenerateName=yes\n"),
        ("etc/kubernetes/manifests/.kubelet-keep", ""),
        ("var/lib/dbus/machine-id", "->/etc/machine-id"),
        ("etc/systemd/system/multi-user.target.wants/ssh.service", "->/lib/systemd/system/ssh.service"),
        ("var/lib/dhcp/dhcpd.leases", ""),
    ];
    assert_eq!(paths(&stock), Vec::<String>::new());
}

#[test]
fn what_made_it_one_machine_is_taken_away() {
    let used = [
        ("etc/machine-id", ID),
        ("var/lib/dbus/machine-id", ID),
        ("etc/ssh/ssh_host_ed25519_key", "key"),
        ("etc/ssh/ssh_host_ed25519_key.pub", "key"),
        ("etc/ssh/sshd_config.d/00-own.conf", "PermitRootLogin yes\n"),
        ("etc/netplan/01-own.yaml", "network: {version: 2}\n"),
        ("etc/sysctl.d/99-own.conf", "net.ipv4.ip_forward=0\n"),
        ("etc/cloud/cloud.cfg.d/99-zz.cfg", "users: []\n"),
        ("etc/cloud/cloud-init.disabled", "x"),
        ("etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.2004-10.com.ubuntu:01:abc\n"),
        ("etc/systemd/system/systemd-networkd.service", "->/dev/null"),
        ("var/lib/cloud/instance", "->instances/nocloud"),
        ("var/lib/cloud/instances/nocloud/user-data.txt", "#cloud-config\n"),
        ("var/lib/systemd/random-seed", "random"),
        ("var/lib/dhcp/dhclient.eth0.leases", "lease {}\n"),
        ("var/log/journal/0123/system.journal", "LPKSHHRH"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = base(dir.path(), &used);
    let before = preparations(device(&image), &recipe()).unwrap();
    let said: Vec<String> = before.iter().map(|p| format!("{}  {p}", p.change.path)).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert!(before.iter().all(|preparation| preparation.was_there));

    let node = dir.path().join("node.img");
    write_out(&image, &bake(device(&image), &recipe(), NOW).unwrap(), &node);
    images::assert_clean(&node, places);
    let ext4 = dir.path().join("p2");
    images::extract(&node, places.root, &ext4);
    let debugfs = |request: &str| run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&ext4));
    let id = debugfs("stat /etc/machine-id");
    assert!(id.contains("Mode:  0444") && id.contains("Size: 0"), "{id}");
    assert_eq!(debugfs("cat /etc/iscsi/initiatorname.iscsi"), "GenerateName=yes\n");
    for folder in
        ["/etc/netplan", "/etc/sysctl.d", "/etc/ssh", "/var/lib/cloud", "/var/lib/dbus", "/var/lib/systemd"]
    {
        let listed = debugfs(&format!("ls -p {folder}"));
        let names = listed.lines().filter_map(|line| line.split('/').nth(5)).filter(|n| !n.starts_with('.'));
        let left: Vec<&str> = names.filter(|name| !name.is_empty() && *name != "sshd_config.d").collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
    // as plan says it, and nothing else: a second bake of what came out finds nothing to prepare
    let again = preparations(device(&node), &Recipe { node: "x".into(), changes: vec![] });
    assert!(matches!(again, Err(Error::Used(_))), "the recipe made it a node: {again:?}");
}

#[test]
fn a_base_without_a_machine_id_gets_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    images::put(&root.join("etc/hostname"), "ubuntu\n");
    let (image, _) = Spec { ext4_mib: 16, ..Spec::default() }.make_from(dir.path(), &root);
    let found = preparations(device(&image), &recipe()).unwrap();
    assert_eq!(found.len(), 1);
    assert!(!found[0].was_there);
    assert!(matches!(&found[0].change.action, Action::Write { content, .. } if content.is_empty()));
}

#[test]
fn what_the_recipe_brings_itself_is_not_taken_away() {
    let own = write(Volume::Root, "/etc/netplan/50-cloud-init.yaml", b"network: {}\n", 0o600);
    let recipe = Recipe { node: "node-1".into(), changes: vec![own] };
    let found = prepared(&[("etc/netplan/50-cloud-init.yaml", "x"), ("etc/netplan/60.yaml", "x")], &recipe);
    let found: Vec<String> = found.unwrap().iter().map(|p| p.change.path.to_string()).collect();
    assert_eq!(found, ["/etc/netplan/60.yaml"]);
}

#[test]
fn links_inside_the_image_lead_to_what_takes_part() {
    let files = [("home/np/01-own.yaml", "network: {}\n"), ("etc/netplan", "->../home/np")];
    assert_eq!(paths(&files), ["/home/np/01-own.yaml"]);
    let circle = [("etc/netplan", "->../a"), ("a", "->etc/netplan")];
    assert_eq!(paths(&circle), Vec::<String>::new());
}

#[test]
fn a_node_of_a_cluster_is_refused_with_what_was_found() {
    let mut said = String::new();
    for file in [
        "etc/pibake/node.env",
        "usr/lib/pibake/stages/65-join",
        "var/lib/pibake/first-boot/complete",
        "etc/kubernetes/pki/ca.key",
        "etc/kubernetes/kubelet.conf",
        "etc/kubernetes/manifests/etcd.yaml",
        "var/lib/kubelet/pki/kubelet-client-current.pem",
        "var/lib/etcd/member/snap/db",
        "var/lib/rancher/k3s/server/token",
        "var/snap/microk8s/current/credentials/client.config",
        "var/lib/docker/swarm/state.json",
    ] {
        let error = prepared(&[(file, "x"), ("etc/hostname", "node-2\n")], &recipe()).unwrap_err();
        assert!(matches!(error, Error::Used(_)), "{file}: {error:?}");
        said += &format!("{error}\n");
    }
    insta::assert_snapshot!(said);
    // folders that packages make are no cluster
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("etc/kubernetes/pki")).unwrap();
    std::fs::create_dir_all(root.join("var/lib/etcd")).unwrap();
    images::put(&root.join("etc/machine-id"), "");
    let (image, _) = Spec { ext4_mib: 16, ..Spec::default() }.make_from(dir.path(), &root);
    assert!(preparations(device(&image), &recipe()).unwrap().is_empty());
}

#[test]
fn a_node_that_was_baked_is_no_base() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = base(dir.path(), &[]);
    let node = dir.path().join("node.img");
    write_out(&image, &bake(device(&image), &recipe(), NOW).unwrap(), &node);
    let error = bake(device(&node), &recipe(), NOW).unwrap_err();
    assert!(error.to_string().contains("/etc/pibake"), "{error}");
    let change = Change { volume: Volume::Root, ..recipe().changes[1].clone() };
    let other = Recipe { node: "node-9".into(), changes: vec![change] };
    assert!(matches!(bake(device(&node), &other, NOW), Err(Error::Used(_))));
}
