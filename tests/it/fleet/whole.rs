//! From a description to images on a machine that has none of it.

use super::{Fleet, Machine};

#[test]
fn what_is_pulled_is_what_is_built() {
    let fleet = Fleet::pushed();
    let (owner, station) = (&fleet.owner, &fleet.station);
    owner.good(&["build", "--base", "sample", "--nodes", "2"]);
    let pulled = station.good(&["pull", &fleet.name]);
    assert_eq!(pulled["serial"], 1);
    assert_eq!(pulled["images"].as_array().unwrap().len(), 2);
    for name in ["node-1.img", "node-2.img", "node-1.spdx.json", "node-2.spdx.json"] {
        let name = format!("images/{name}");
        assert!(station.read(&name) == owner.read(&name), "{name} differs");
    }
    // neither description nor identity came with it
    assert!(!station.path("pibake.toml").exists() && !station.path(".pibake").exists());

    // what was fetched is enough later, in other forms, too
    let offline = ["--offline", "pull", &fleet.name, "--node", "2", "--format", "zst", "-o", "out"];
    station.good(&offline);
    let unpacked = zstd::decode_all(&station.read("out/node-2.img.zst")[..]).unwrap();
    assert!(unpacked == owner.read("images/node-2.img"));

    let node = format!("{}#node-2", fleet.name);
    let file = station.good(&["inspect", &node, "/etc/hostname"]);
    assert_eq!(file["text"], "node-2\n");
    let verified = station.good(&["verify", &node]);
    assert_eq!((&verified["node"], &verified["differences"]), (&"node-2".into(), &serde_json::json!([])));
    let listed = station.good(&["inspect", &fleet.name]);
    assert_eq!((&listed["serial"], &listed["signed_by"]), (&1.into(), &fleet.key.as_str().into()));
    assert_eq!(listed["nodes"][0]["role"], "control-plane");
}

#[test]
fn what_is_there_can_be_looked_at_with_a_key_for_that_run_alone() {
    let fleet = Fleet::pushed();
    let stranger = Machine::new();
    let node = format!("{}#node-2", fleet.name);
    let trust = ["--trust", &fleet.key, "--network-tries", "2", "--network-timeout", "60"];
    let with = |words: &[&'static str], name| [words, &[name], &trust[..]].concat();
    let listed = stranger.good(&with(&["inspect"], &fleet.name));
    assert_eq!(listed["nodes"].as_array().unwrap().len(), 2);
    // the bill is no secret, and says what is on the card
    let planned = stranger.good(&with(&["plan"], &node));
    assert_eq!(planned["node"], "node-2");
    let changes = planned["changes"].as_array().unwrap();
    let at = |path: &str| changes.iter().find(|change| change["path"] == path);
    assert_eq!(at("/etc/hostname").unwrap()["secret"], false, "{planned}");
    assert_eq!(at("/etc/hostname").unwrap()["partition"], "writable", "{planned}");
    assert!(changes.iter().any(|change| change["partition"] == "system-boot"), "{planned}");
    assert!(changes.iter().any(|change| change["secret"] == true), "{planned}");
    let said = stranger.refused(2, &with(&["plan", "--node", "2"], &node));
    assert!(said.contains("is named behind #"), "{said}");
    let said = stranger.refused(2, &with(&["plan"], &fleet.name));
    assert!(said.contains("Write oci://"), "{said}");
    // what is secret is not for it
    let said = stranger.refused(2, &with(&["verify"], &node));
    assert!(said.contains("this machine has no key yet"), "{said}");
    std::fs::remove_file(fleet.station.path(".config/pibake/trusted")).unwrap();
    let verified = fleet.station.good(&with(&["verify"], &node));
    assert_eq!(verified["differences"], serde_json::json!([]));
    let said = fleet.station.refused(2, &["verify", &node]);
    assert!(said.contains("no key is trusted here"), "{said}");
    // a path needs a node, here as ever
    let said = stranger.refused(2, &["plan", "/etc/hosts"]);
    assert!(said.contains("/etc/hosts of which node? Name it with --node"), "{said}");
}

#[test]
fn what_is_there_is_not_sent_again() {
    let fleet = Fleet::pushed();
    let first = fleet.push();
    assert_eq!(first["serial"], 2);
    // what each node has alone, and a signature
    let own: u64 =
        first["nodes"].as_array().unwrap().iter().map(|node| node["bytes"].as_u64().unwrap()).sum();
    let sent = first["sent_bytes"].as_u64().unwrap();
    assert!(sent > 0 && sent < own + 10_000, "{sent} bytes were sent, {own} are of the nodes");
    assert!(own < 2 * 700_000, "{own}");

    // another cluster in another repository takes the base from the first one
    let other = Machine::new();
    std::fs::create_dir_all(other.path(".cache")).unwrap();
    let cache = fleet.owner.path(".cache/pibake");
    std::os::unix::fs::symlink(cache, other.path(".cache/pibake")).unwrap();
    let name = fleet.name.replace("/home", "/lab/two");
    let key = fleet.station.key();
    let words = ["push", &name, "--base", "sample", "--nodes", "1", "--recipient", &key];
    let pushed = other.good(&words);
    let own = pushed["nodes"][0]["bytes"].as_u64().unwrap();
    let sent = pushed["sent_bytes"].as_u64().unwrap();
    assert!(sent < own + 10_000, "{sent} bytes were sent, {own} are of the node");
    fleet.station.trust(pushed["key"].as_str().unwrap());
    fleet.station.good(&["pull", &name, "-o", "two"]);
    other.good(&["build", "--base", "sample", "--nodes", "1"]);
    assert!(fleet.station.read("two/node-1.img") == other.read("images/node-1.img"));

    // and never takes the place of another one
    let said =
        other.refused(4, &["push", &fleet.name, "--base", "sample", "--nodes", "1", "--recipient", &key]);
    assert!(said.contains("is the cluster \"kubernetes\" of another .pibake, and stays"), "{said}");
}
