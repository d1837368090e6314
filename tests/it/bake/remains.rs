//! Bases that were in use: a node's is refused, any other is cleaned of what made it one machine.

use std::path::{Path, PathBuf};

use pibake::bake::{Error, Preparation, preparations};
use pibake::recipe::{Action, Change, Recipe, Volume};

use super::{CLOCK, bake, device, recipe, write, write_out};
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
        ("etc/shadow", "root:*:18474:0:99999:7:::\nsshd:!:18474::::::\n"),
        ("etc/sudoers.d/README", "# text\n"),
        ("etc/fstab", "LABEL=writable / ext4 defaults 0 0\n"),
        ("etc/sysctl.conf", "#net.ipv4.ip_forward=1\n"),
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
        ("etc/shadow", "root:*:1:0:99999:7:::\nubuntu:$6$salt$hash:1:0:99999:7:::\n"),
        ("etc/sudoers.d/90-cloud-init-users", "ubuntu ALL=(ALL) NOPASSWD:ALL\n"),
        ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA old\n"),
        ("home/ubuntu/.ssh/authorized_keys2", "ssh-ed25519 AAAA old\n"),
        ("home/ubuntu/.ssh/config", "Host x\n"),
        ("etc/sysctl.conf", "net.ipv4.ip_forward=0\n"),
        ("etc/fstab", "LABEL=writable / ext4 defaults 0 0\n/swapfile none swap sw 0 0\n"),
        ("etc/systemd/system/swapfile.swap", "[Swap]\n"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = base(dir.path(), &used);
    let before = preparations(device(&image), &recipe()).unwrap();
    let said: Vec<String> = before.iter().map(|p| format!("{}  {p}", p.change.path)).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert!(before.iter().all(|preparation| preparation.was_there));

    let node = dir.path().join("node.img");
    write_out(&image, &bake(device(&image), &recipe(), CLOCK).unwrap(), &node);
    images::assert_clean(&node, places);
    let ext4 = dir.path().join("p2");
    images::extract(&node, places.root, &ext4);
    let debugfs = |request: &str| run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&ext4));
    let id = debugfs("stat /etc/machine-id");
    assert!(id.contains("Mode:  0444") && id.contains("Size: 0"), "{id}");
    assert_eq!(debugfs("cat /etc/iscsi/initiatorname.iscsi"), "GenerateName=yes\n");
    assert_eq!(debugfs("cat /etc/shadow"), "root:*:1:0:99999:7:::\nubuntu:!:1:0:99999:7:::\n");
    assert_eq!(debugfs("cat /etc/sysctl.conf"), "# net.ipv4.ip_forward=0\n");
    assert!(debugfs("cat /etc/fstab").contains("\n# /swapfile none swap"));
    for folder in
        ["/etc/netplan", "/etc/sysctl.d", "/etc/ssh", "/var/lib/cloud", "/var/lib/dbus", "/var/lib/systemd"]
    {
        let listed = debugfs(&format!("ls -p {folder}"));
        let names = listed.lines().filter_map(|line| line.split('/').nth(5)).filter(|n| !n.starts_with('.'));
        let left: Vec<&str> = names.filter(|name| !name.is_empty() && *name != "sshd_config.d").collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
    // as plan says it, and nothing else: a second bake of what came out finds nothing to prepare
    let again = preparations(
        device(&node),
        &Recipe { node: "x".into(), board: None, modules: vec![], disk_id: [7; 16], changes: vec![] },
    );
    assert!(matches!(again, Err(Error::Used(_))), "the recipe made it a node: {again:?}");
}

#[test]
fn settings_that_cloud_init_would_join_are_taken_off_the_boot_partition() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = base(dir.path(), &[]);
    let (fat, file) = (dir.path().join("fat"), dir.path().join("vendor-data"));
    images::extract(&image, places.boot, &fat);
    std::fs::write(&file, "#cloud-config\nruncmd: [reboot]\n").unwrap();
    run(tool("mcopy", "mtools").arg("-i").arg(&fat).arg(&file).arg("::"));
    images::splice(&fat, &image, places.boot.0);
    let found = preparations(device(&image), &recipe()).unwrap();
    let said: Vec<String> = found.iter().map(|p| format!("{} {}", p.change.path, p.done)).collect();
    assert_eq!(said, ["/vendor-data removed"]);
    assert_eq!(found[0].change.volume, Volume::Boot);
    let node = dir.path().join("node.img");
    write_out(&image, &bake(device(&image), &recipe(), CLOCK).unwrap(), &node);
    images::assert_clean(&node, places);
    images::extract(&node, places.boot, &fat);
    let listed = run(tool("mdir", "mtools").arg("-b").arg("-i").arg(&fat).arg("::"));
    assert!(listed.contains("user-data") && !listed.contains("vendor-data"), "{listed}");
}

#[test]
fn names_that_are_not_utf8_do_no_harm_where_nothing_of_them_takes_part() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let odd = |folder: &str, name: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for (path, content) in ROOT_FILES {
            images::put(&root.join(path), content);
        }
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(OsStr::from_bytes(name)), "x").unwrap();
        let (image, _) = Spec { ext4_mib: 16, ..Spec::default() }.make_from(dir.path(), &root);
        preparations(device(&image), &recipe())
    };
    assert!(odd("etc/netplan", b"note-\xff.txt").unwrap().is_empty());
    assert!(odd("home/\u{e9}", b"\xff").unwrap().is_empty());
    let error = odd("etc/netplan", b"\xff.yaml").unwrap_err();
    let error = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    assert!(error.contains("not UTF-8") && error.contains("/etc/netplan"), "{error}");
    // what is in such a file is not asked, where any file would say that the base was a node
    assert!(matches!(odd("var/lib/etcd", b"\xff"), Err(Error::Used(_))));
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
    let recipe =
        Recipe { node: "node-1".into(), board: None, modules: vec![], disk_id: [7; 16], changes: vec![own] };
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
    write_out(&image, &bake(device(&image), &recipe(), CLOCK).unwrap(), &node);
    let error = bake(device(&node), &recipe(), CLOCK).unwrap_err();
    assert!(error.to_string().contains("/etc/pibake"), "{error}");
    let change = Change { volume: Volume::Root, ..recipe().changes[1].clone() };
    let other = Recipe {
        node: "node-9".into(),
        board: None,
        modules: vec![],
        disk_id: [7; 16],
        changes: vec![change],
    };
    assert!(matches!(bake(device(&node), &other, CLOCK), Err(Error::Used(_))));
}
