//! Registries that are busy, cut off, forget, or go away.

use std::sync::atomic::Ordering;

use pibake::fleet::SigningKey;
use serde_json::Value;
use support::fetching::sha256;
use support::http::{Fault, File, Server};
use support::registry::Registry;

use super::line::{Line, Weakness};
use super::{Fleet, Machine, files};

/// All that the registry of a fleet has, on a server that fails on demand.
fn mirrored(fleet: &Fleet) -> Server {
    let server = Server::start();
    let index = fleet.manifest("latest");
    let signature = format!("sha256-{}.minisig", sha256(&index));
    for tag in ["latest", &signature] {
        server.put(&format!("/v2/home/manifests/{tag}"), File::new(&fleet.manifest(tag)));
    }
    for path in files(&fleet.registry.data()) {
        let bytes = std::fs::read(&path).unwrap();
        for kind in ["manifests", "blobs"] {
            server.put(&format!("/v2/home/{kind}/sha256:{}", sha256(&bytes)), File::new(&bytes));
        }
    }
    server
}

/// Where the first blob of a manifest is.
fn blob(manifest: &Value) -> String {
    format!("/v2/home/blobs/{}", manifest["layers"][0]["digest"].as_str().unwrap())
}

fn busy() -> Fault {
    Fault::Status(429, vec![("Retry-After", "0".to_owned())])
}

#[test]
fn what_comes_badly_is_asked_for_again() {
    let fleet = Fleet::pushed();
    fleet.station.good(&["pull", &fleet.name, "-o", "right"]);
    std::fs::remove_dir_all(fleet.station.path(".cache")).unwrap();
    let server = mirrored(&fleet);
    let name = format!("oci://{}/home", server.address);
    let (base, _) = fleet.listed("vnd.pibake.raw-sha256", None);
    let (node, _) = fleet.listed("vnd.pibake.node", Some("node-2"));
    let faults = [
        ("/v2/home/manifests/latest".to_owned(), vec![busy(), Fault::Refuse]),
        (blob(&base), vec![Fault::Cut(100), Fault::Status(503, Vec::new()), Fault::Cut(100)]),
        (blob(&node), vec![busy(), Fault::Cut(10)]),
    ];
    for (path, faults) in &faults {
        server.fail(path, faults);
    }
    fleet.station.good(&["pull", &name]);
    for (path, faults) in &faults {
        assert!(server.seen(path).len() > faults.len(), "{path} was not asked for again");
    }
    for node in ["node-1.img", "node-2.img"] {
        let [right, found] = ["right", "images"].map(|dir| fleet.station.read(&format!("{dir}/{node}")));
        assert!(right == found, "{node} differs");
    }
}

#[test]
fn what_a_registry_lost_is_named_and_found_again() {
    let fleet = Fleet::pushed();
    let server = mirrored(&fleet);
    let name = format!("oci://{}/home", server.address);
    let (base, _) = fleet.listed("vnd.pibake.raw-sha256", None);
    let (_, node) = fleet.listed("vnd.pibake.node", Some("node-1"));
    let node = format!("/v2/home/manifests/{node}");
    let once = ["pull", &name, "--node", "1", "--network-tries", "1"];
    for (path, code, words) in [
        (node, 3, "node-1 of oci://"),
        (blob(&base), 1, "404"),
        ("/v2/home/manifests/latest".to_owned(), 1, "does not exist: check its name and tag"),
    ] {
        let file = server_file(&fleet, &path);
        server.remove(&path);
        let said = fleet.station.refused(code, &once);
        assert!(said.contains(words), "{path}: {said}");
        assert!(!fleet.station.path("images/node-1.img").exists(), "{path}: an image is there");
        server.put(&path, file);
    }
    // a server that is busy all the time is given up after as many tries as are wanted
    server.fail("/v2/home/manifests/latest", &[busy(), busy()]);
    let said = fleet.station.refused(1, &once);
    assert!(said.contains("429"), "{said}");
    server.fail("/v2/home/manifests/latest", &[Fault::None]);
    fleet.station.good(&["pull", &name, "--node", "1"]);
}

/// What lies at a path of [`mirrored`].
fn server_file(fleet: &Fleet, path: &str) -> File {
    let object = path.rsplit('/').next().unwrap();
    let bytes = match object.strip_prefix("sha256:") {
        Some(_) => std::fs::read(fleet.registry.blob(object)).unwrap(),
        None => fleet.manifest(object),
    };
    File::new(&bytes)
}

#[test]
fn a_push_over_a_line_that_breaks_all_the_time_comes_through() {
    let (registry, owner, station) = (Registry::open(), Machine::new(), Machine::new());
    // in the middle of a blob, too
    let line = Line::to(&registry, i64::MAX, |number| match number % 3 {
        0 => Weakness::Busy,
        1 => Weakness::Cut(40_000),
        _ => Weakness::None,
    });
    let key = station.key();
    let weak = format!("oci://{}/home", line.address);
    let words = ["push", &weak, "--base", "sample", "--nodes", "2", "--recipient", &key];
    let pushed = owner.good(&[&words[..], &["--network-tries", "20"]].concat());
    assert!(line.weak.load(Ordering::Relaxed) >= 2, "the line was never weak");
    station.trust(pushed["key"].as_str().unwrap());
    station.good(&["pull", &format!("oci://{}/home", registry.host())]);
    owner.good(&["build", "--base", "sample", "--nodes", "2"]);
    for node in ["node-1.img", "node-2.img"] {
        assert!(station.read(&format!("images/{node}")) == owner.read(&format!("images/{node}")));
    }
}

#[test]
fn a_push_to_a_registry_that_goes_away_leaves_nothing_under_the_name() {
    let (registry, owner, station) = (Registry::open(), Machine::new(), Machine::new());
    let key = station.key();
    station.trust(&SigningKey::make().unwrap().parse::<SigningKey>().unwrap().public().to_string());
    let name = format!("oci://{}/home", registry.host());
    let to = |name: &str| -> Vec<String> {
        ["push", name, "--base", "sample", "--nodes", "2", "--recipient", &key].map(str::to_owned).to_vec()
    };
    {
        let line = Line::to(&registry, 30_000, |_| Weakness::None);
        let mut words = to(&format!("oci://{}/home", line.address));
        words.extend(["--network-tries", "2"].map(str::to_owned));
        owner.refused(1, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let said = station.refused(1, &["pull", &name]);
    assert!(said.contains("does not exist: check its name and tag"), "{said}");
    let pushed = owner.good(&to(&name).iter().map(String::as_str).collect::<Vec<_>>());
    station.trust(pushed["key"].as_str().unwrap());
    station.good(&["pull", &name]);
}
