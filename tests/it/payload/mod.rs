//! What is baked so that nodes need no network: apt itself is asked whether it is enough.

mod baked;
mod desk;
mod locked;
mod pushed;
mod refused;
mod verified;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pibake::base::Keyring;
use pibake::cluster::Role;
use pibake::payload::{Part, Payload};
use support::debian::{self, AptRoot};
use support::{run, tool};

use world::World;

/// Writes the files of a part below `dir`.
fn lay_out(world: &World, part: &Part, dir: &Path) {
    for file in &part.files {
        let to = dir.join(file.path.as_str().trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut out = fs::File::create(&to).unwrap();
        world.with(false, |fetcher| std::io::copy(&mut file.open(fetcher.cache).unwrap(), &mut out)).unwrap();
        assert_eq!(out.metadata().unwrap().len(), file.size(), "{}", file.path);
    }
}

/// What the packages of a part change: `install NAME VERSION` and so on.
fn changes(part: &Part) -> BTreeSet<String> {
    let installed = part.plan.install.iter().map(|package| match &package.replaces {
        None => format!("install {} {}", package.package, package.version),
        Some(old) => format!("replace {} {old} {}", package.package, package.version),
    });
    installed.chain(part.plan.remove.iter().map(|gone| format!("remove {}", gone.package))).collect()
}

/// The names in an archive, as containerd reads them.
fn names(archive: &Path) -> BTreeSet<String> {
    let index = run(tool("tar", "tar").arg("-xOf").arg(archive).arg("index.json"));
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let name = |entry: &serde_json::Value| {
        entry["annotations"]["io.containerd.image.name"].as_str().unwrap().to_owned()
    };
    index["manifests"].as_array().unwrap().iter().map(name).collect()
}

fn both(payload: &Payload) -> [&Part; 2] {
    [Role::ControlPlane, Role::Worker].map(|role| payload.part(role).unwrap())
}

#[test]
fn apt_installs_from_what_is_baked_what_it_would_have_installed_from_the_servers() {
    let world = World::new();
    let payload = world.payload(false).unwrap();
    for (role, part) in [Role::ControlPlane, Role::Worker].into_iter().zip(both(&payload)) {
        let node = tempfile::tempdir().unwrap();
        lay_out(&world, part, node.path());
        let wanted = world.package_names(role);
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let ask = |sources: &str| {
            let apt = AptRoot::new("arm64", &world.status, sources, &world.preferences(role));
            let updated = apt.update();
            assert!(updated.status.success(), "{}", String::from_utf8_lossy(&updated.stderr));
            apt.install(&wanted)
        };
        let key = fs::read(node.path().join("etc/apt/keyrings/docker.asc")).unwrap();
        let key = Keyring::parse(&key).unwrap().fingerprints();
        assert_eq!(key, [world.gpg.fingerprint("docker")], "it was fetched, and updates need it");
        let servers = ask(&world.sources_of_a_node(role));
        assert_eq!(servers.changes.as_ref(), Some(&changes(part)), "{role}: {}", servers.said);

        let list = node.path().join("var/lib/pibake/payload/sources.list");
        let list = fs::read_to_string(list).unwrap();
        assert_eq!(list, "deb [trusted=yes] file:/var/lib/pibake/payload/packages ./\n");
        let baked = ask(&list.replace("file:/", &format!("file:{}/", node.path().display())));
        assert_eq!(baked.changes, servers.changes, "{role}: {}", baked.said);

        // and the packages are what the list says
        let folder = node.path().join("var/lib/pibake/payload/packages");
        let mut found = BTreeMap::new();
        for deb in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if deb.extension().is_some_and(|end| end == "deb") {
                let said =
                    run(tool("dpkg-deb", "dpkg").arg("--field").arg(&deb).args(["Package", "Version"]));
                let field =
                    |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
                found.insert(field("Package: "), field("Version: "));
            }
        }
        let planned = part.plan.install.iter().map(|p| (p.package.clone(), p.version.clone()));
        assert_eq!(found, planned.collect());
    }
    // the DHCP server is node-1's, and what the base has is upgraded where it is named
    let [control_plane, worker] = both(&payload).map(changes);
    assert!(control_plane.contains("install isc-dhcp-server 4.4.1"), "{control_plane:?}");
    assert!(control_plane.contains("install libdhcp 1:2.0"), "{control_plane:?}");
    assert!(!worker.contains("install isc-dhcp-server 4.4.1"), "{worker:?}");
    for both in ["install containerd.io 1.7.27-1", "install kubeadm 1.34.2-1.1", "replace curl 7.1 7.2"] {
        assert!(control_plane.contains(both) && worker.contains(both), "{both}: {worker:?}");
    }
}

#[test]
fn the_images_are_those_that_the_baked_kubeadm_asks_for() {
    let world = World::new();
    let payload = world.payload(false).unwrap();
    let registry = &world.registry_name();
    let of = |part: &Part| {
        let node = tempfile::tempdir().unwrap();
        lay_out(&world, part, node.path());
        let archive = |name: &str| node.path().join("var/lib/pibake/payload").join(name);
        let own = archive("images-control-plane.tar");
        let own = if own.exists() { names(&own) } else { BTreeSet::new() };
        (names(&archive("images.tar")), own)
    };
    let any_node = [
        "k8s/kube-proxy:v1.34.2",
        "k8s/coredns:v1.12.1",
        "k8s/pause:3.10.1",
        "net/flannel:v0.28.9",
        "net/flannel-cni:v1",
        "mine/app:1",
    ];
    let control_plane = [
        "k8s/kube-apiserver:v1.34.2",
        "k8s/kube-controller-manager:v1.34.2",
        "k8s/kube-scheduler:v1.34.2",
        "k8s/etcd:3.6.5-0",
    ];
    let [first, worker] = both(&payload).map(of);
    let named = |list: &[&str]| list.iter().map(|name| format!("{registry}/{name}")).collect::<BTreeSet<_>>();
    assert_eq!(worker, (named(&any_node), BTreeSet::new()));
    assert_eq!(first, (named(&any_node), named(&control_plane)));
}

#[test]
fn the_second_time_it_is_the_same_and_nothing_is_asked_for() {
    let world = World::new();
    let bytes = |payload: &Payload| {
        let node = tempfile::tempdir().unwrap();
        let mut all = BTreeMap::new();
        for (number, part) in both(payload).into_iter().enumerate() {
            lay_out(&world, part, node.path());
            for file in &part.files {
                let path = node.path().join(file.path.as_str().trim_start_matches('/'));
                all.insert(
                    (number, file.path.to_string()),
                    support::fetching::sha256(&fs::read(path).unwrap()),
                );
            }
        }
        all
    };
    let online = bytes(&world.payload(false).unwrap());
    let asked = world.server.all_seen().len();
    assert_eq!(bytes(&world.payload(true).unwrap()), online);
    assert_eq!(world.server.all_seen().len(), asked);
}

/// The functions of first boot, with a real apt-get, on a node whose own lists name a server that is not there.
#[test]
fn first_boots_apt_is_content_with_what_was_baked() {
    let world = World::new();
    let payload = world.payload(false).unwrap();
    let [part, _] = both(&payload);
    let node = tempfile::tempdir().unwrap();
    lay_out(&world, part, node.path());
    let list = node.path().join("var/lib/pibake/payload/sources.list");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("file:/", &format!("file:{}/", node.path().display()))).unwrap();
    let role = Role::ControlPlane;
    let unreachable = "deb [trusted=yes] http://127.0.0.1:1/none focal main\n";
    let apt = AptRoot::new("arm64", &world.status, unreachable, &world.preferences(role));
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays/common/usr/lib/pibake");
    let script = r#"set -eu
        here=$1; shift
        . "$here/lib/base"
        . "$here/lib/packages"
        prepare
        apt update
        apt --simulate -V install --no-install-recommends --allow-change-held-packages --allow-downgrades "$@""#;
    let mut shell = tool("sh", "dash");
    shell.args(["-c", script, "sh"]).arg(library).args(world.package_names(role));
    shell.env("PIBAKE_ROOT", node.path()).env("APT_CONFIG", apt.configuration());
    let out = shell.output().unwrap();
    let said = String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned();
    assert!(out.status.success() && !said.contains("127.0.0.1"), "{said}");
    assert_eq!(debian::changes(&said), changes(part), "{said}");
}
