//! Pushes that meet something: others, an end in the middle, what somebody put there before.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pibake::base::{Cache, Fetcher, Ledger, Options};
use pibake::catalog::Spec;
use pibake::disk::Patch;
use pibake::error::Failure;
use pibake::fleet::{Baked, Contents, Error, Node, Sender, SigningKey, StationKey, Versions};
use pibake::progress::Silent;
use serde_json::Value;
use support::fetching::sha256;
use support::registry::Registry;

use super::{Fleet, MANIFEST, Machine, files};

/// What comes of a push of this cluster, during which `meanwhile` happens, and the number that was noted for it.
fn push(fleet: &Fleet, meanwhile: impl Fn() -> Result<(), Failure> + Sync) -> (Result<u64, Error>, u64) {
    let cache = Cache::open(&fleet.owner.path(".cache/pibake")).unwrap();
    let options = Options { offline: true, ..Options::default() };
    let base = cache.obtain(&Spec::Sample, &options, &Silent, None).unwrap();
    let key: SigningKey = String::from_utf8(fleet.owner.read(".pibake/fleet_key")).unwrap().parse().unwrap();
    let ca = fleet.index()["annotations"]["vnd.pibake.fleet"].as_str().unwrap().to_owned();
    let versions = Versions { kubernetes: "1.31.0".to_owned(), containerd: "1.7.0".to_owned() };
    let (role, board) = ("control-plane".to_owned(), "raspberry-pi".to_owned());
    let node = Node { name: "node-1".to_owned(), number: 1, role, board, boot_from: None, versions };
    let contents = Contents {
        cluster: "kubernetes",
        fleet: &ca,
        base: &base,
        payloads: BTreeMap::new(),
        nodes: vec![node],
    };
    let noted = Cell::new(0);
    let note = |number: u64| -> Result<(), Failure> {
        noted.set(number);
        Ok(())
    };
    let recipients = [StationKey::make().public()];
    let sender = Sender { key: &key, recipients: &recipients, last: 0, note: &note };
    let ledger = Ledger::default();
    let fetcher = Fetcher::new(&cache, &ledger);
    let bake = |_: &str| -> Result<Baked, Failure> {
        meanwhile()?;
        Ok(Baked { patch: Patch::default(), bill: b"{}".to_vec() })
    };
    let pushed = sender.push(&fleet.name.parse().unwrap(), &contents, &bake, &fetcher);
    (pushed.map(|pushed| pushed.serial), noted.get())
}

#[test]
fn the_name_stays_with_who_took_it_meanwhile_and_where_a_push_ends_early() {
    let fleet = Fleet::pushed();
    let standing = |number: &str| {
        let index = fleet.index();
        assert_eq!(index["annotations"]["vnd.pibake.serial"], number, "{index}");
        assert_eq!(index["manifests"].as_array().unwrap().len(), 3, "{index}");
    };
    let (failed, noted) = push(&fleet, || Err(Failure::usage("it ends here")));
    assert!(matches!(failed, Err(Error::Bake { .. })), "{failed:?}");
    assert_eq!(noted, 0);
    standing("1");
    let (failed, noted) = push(&fleet, || {
        fleet.push();
        Ok(())
    });
    let error = failed.unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert!(error.to_string().contains("stands for what somebody else put there"), "{error}");
    assert_eq!(noted, 0);
    standing("2");
    fleet.station.good(&["pull", &fleet.name]);
    // nobody comes between
    let (pushed, noted) = push(&fleet, || Ok(()));
    assert_eq!((pushed.unwrap(), noted), (3, 3));
}

#[test]
fn a_push_that_is_killed_leaves_nothing_under_the_name() {
    let (registry, owner, station) = (Registry::open(), Machine::new(), Machine::new());
    let name = format!("oci://{}/home", registry.host());
    let key = station.key();
    station.trust(&SigningKey::make().unwrap().parse::<SigningKey>().unwrap().public().to_string());
    let words = ["push", &name, "--base", "sample", "--nodes", "2", "--recipient", &key];
    let count = || if registry.data().is_dir() { files(&registry.data()).len() } else { 0 };
    for _ in 0..2 {
        let before = count();
        let mut child = owner.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while count() == before && Instant::now() < end && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it was through before it was killed: {status}");
        let said = station.refused(1, &["pull", &name]);
        assert!(said.contains("does not exist: check its name and tag"), "{said}");
    }
    let pushed = owner.good(&words);
    assert_eq!(pushed["serial"], 1);
    station.trust(pushed["key"].as_str().unwrap());
    station.good(&["pull", &name]);
    owner.good(&["build", "--base", "sample", "--nodes", "2"]);
    assert!(station.read("images/node-2.img") == owner.read("images/node-2.img"));
}

#[test]
fn a_base_that_anybody_may_have_put_there_is_not_signed() {
    let fleet = Fleet::pushed();
    let (right, digest) = fleet.listed("vnd.pibake.raw-sha256", None);
    let tag = format!("base-{}", right["annotations"]["vnd.pibake.raw-sha256"].as_str().unwrap());
    assert_eq!(format!("sha256:{}", sha256(&fleet.manifest(&tag))), digest);
    // one of the chunks is left out, so that zeros are in its place
    let mut wrong = right.clone();
    wrong["layers"].as_array_mut().unwrap().pop().unwrap();
    let wrong = serde_json::to_vec(&wrong).unwrap();
    let (stranger, key) = (Machine::new(), fleet.station.key());
    // who was there before, and who comes for the first time
    for (who, to) in [(&fleet.owner, "latest"), (&stranger, "stranger")] {
        fleet.put(&tag, MANIFEST, &wrong);
        let name = format!("{}:{to}", fleet.name);
        who.good(&["push", &name, "--base", "sample", "--nodes", "2", "--recipient", &key]);
        let index: Value = serde_json::from_slice(&fleet.manifest(to)).unwrap();
        let entries = index["manifests"].as_array().unwrap();
        let base = entries.iter().find(|entry| entry["annotations"]["vnd.pibake.raw-sha256"].is_string());
        assert_eq!(base.unwrap()["digest"], digest, "{to}");
        assert_eq!(format!("sha256:{}", sha256(&fleet.manifest(&tag))), digest, "{to}");
    }
    fleet.station.good(&["pull", &fleet.name]);
}

#[test]
fn what_a_registry_lost_is_sent_again_and_what_it_damaged_is_named() {
    let fleet = Fleet::pushed();
    let (base, _) = fleet.listed("vnd.pibake.raw-sha256", None);
    let digest = base["layers"][0]["digest"].as_str().unwrap();
    let path = fleet.registry.blob(digest);
    let right = std::fs::read(&path).unwrap();
    std::fs::write(&path, &right[..right.len() / 2]).unwrap();
    let key = fleet.station.key();
    let words = ["push", &fleet.name, "--base", "sample", "--nodes", "2", "--recipient", &key];
    let said = fleet.owner.refused(3, &words);
    assert!(said.contains(digest) && said.contains("its copy is damaged"), "{said}");
    assert!(said.contains("have it removed there"), "{said}");
    std::fs::remove_file(&path).unwrap();
    fleet.push();
    assert!(std::fs::read(&path).unwrap() == right);
    fleet.station.good(&["pull", &fleet.name]);
}

#[test]
fn a_folder_of_pibake_vendor_keeps_nobody_from_the_registry() {
    let fleet = Fleet::pushed();
    std::fs::create_dir_all(fleet.owner.path("vendor/files")).unwrap();
    let key = fleet.station.key();
    let words = ["push", &fleet.name, "--base", "sample", "--nodes", "2", "--recipient", &key];
    let vendored = fleet.owner.good(&[&words[..], &["--vendor", "vendor"]].concat());
    assert_eq!(vendored["serial"], 2);
    fleet.station.good(&["pull", &fleet.name]);
    let said = fleet.owner.refused(2, &[&["--offline"], &words[..]].concat());
    assert!(said.contains("--offline: nothing can be put into a registry without the network"), "{said}");
}
