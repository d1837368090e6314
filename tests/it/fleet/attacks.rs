//! What a registry may do, or whoever can write to it, and what is said of it.

use serde_json::Value;
use support::fetching::sha256;

use super::{Fleet, INDEX, MANIFEST, Machine};

#[test]
fn who_is_not_trusted_is_not_believed() {
    let fleet = Fleet::pushed();
    let stranger = Machine::new();
    let said = stranger.refused(2, &["pull", &fleet.name]);
    assert!(said.contains("no key is trusted here") && said.contains("pibake key --trust KEY"), "{said}");
    // with the key of another cluster
    let other = Fleet::pushed();
    let said = stranger.refused(3, &["pull", &fleet.name, "--trust", &other.key]);
    assert!(said.contains("is not signed by a key that is trusted here"), "{said}");
    // with the right one, but it is not for this machine
    let said = stranger.refused(2, &["pull", &fleet.name, "--trust", &fleet.key]);
    assert!(said.contains("this machine has no key yet"), "{said}");
    let key = stranger.key();
    let said = stranger.refused(2, &["pull", &fleet.name, "--trust", &fleet.key]);
    assert!(said.contains(&format!("have the cluster pushed again with --recipient {key}")), "{said}");
    assert!(!stranger.path("images").exists(), "something was written");
}

#[test]
fn an_older_index_is_refused() {
    let fleet = Fleet::pushed();
    let first = fleet.manifest("latest");
    fleet.push();
    fleet.station.good(&["pull", &fleet.name, "--node", "2"]);
    fleet.put("latest", INDEX, &first);
    let said = fleet.station.refused(3, &["pull", &fleet.name, "--node", "2", "-o", "again"]);
    assert!(said.contains("has number 1 of the cluster") && said.contains("number 2 was seen"), "{said}");
    // whoever pushes next goes on from what was seen
    assert_eq!(fleet.push()["serial"], 3);
    fleet.station.good(&["pull", &fleet.name, "--node", "2", "-o", "again"]);
}

/// The index, where each node gets what the other one has.
fn swapped(fleet: &Fleet) -> Vec<u8> {
    let mut index = fleet.index();
    let entries = index["manifests"].as_array_mut().unwrap();
    let nodes: Vec<usize> =
        (0..entries.len()).filter(|at| entries[*at]["annotations"]["vnd.pibake.node"].is_string()).collect();
    let [one, two] = nodes[..] else { panic!("{entries:?}") };
    for field in ["digest", "size"] {
        let (a, b) = (entries[one][field].clone(), entries[two][field].clone());
        (entries[one][field], entries[two][field]) = (b, a);
    }
    serde_json::to_vec(&index).unwrap()
}

/// Not even its owner can have one node made of what is another's.
#[test]
fn what_is_signed_for_one_node_is_not_made_into_another() {
    let fleet = Fleet::pushed();
    fleet.put_signed(&fleet.owner, &swapped(&fleet));
    let said = fleet.station.refused(3, &["pull", &fleet.name, "--node", "2"]);
    assert!(said.contains("is damaged: it is what \"node-1 of sha256:"), "{said}");
    assert!(said.contains("and not \"node-2 of sha256:"), "{said}");
    assert!(!fleet.station.path("images/node-2.img").exists(), "an image is there");
}

#[test]
fn an_index_that_was_changed_is_refused() {
    let fleet = Fleet::pushed();
    let signature = format!("sha256-{}.minisig", sha256(&fleet.manifest("latest")));
    let signature = fleet.manifest(&signature);
    let changed = swapped(&fleet);
    fleet.put("latest", INDEX, &changed);
    let said = fleet.station.refused(3, &["pull", &fleet.name]);
    assert!(said.contains("has no signature in the registry"), "{said}");
    // with the signature of the right one
    fleet.put(&format!("sha256-{}.minisig", sha256(&changed)), MANIFEST, &signature);
    let said = fleet.station.refused(3, &["pull", &fleet.name]);
    assert!(said.contains("is not signed by a key that is trusted here"), "{said}");
    // nor does the owner go on from it
    let key = fleet.station.key();
    let words = ["push", &fleet.name, "--base", "sample", "--nodes", "2", "--recipient", &key];
    let said = fleet.owner.refused(3, &words);
    assert!(
        said.contains("is not signed by the key in .pibake") && said.contains("Nothing was pushed"),
        "{said}"
    );
}

#[test]
fn a_blob_that_is_not_whole_is_refused() {
    let fleet = Fleet::pushed();
    let blob = |manifest: &Value| manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let (base, digest) = fleet.listed("vnd.pibake.raw-sha256", None);
    let (node, _) = fleet.listed("vnd.pibake.node", Some("node-1"));
    // a registry that cannot read its own manifest says so in its own way
    let cases = [
        (blob(&base), "a chunk", Some("the base image of")),
        (blob(&node), "a node", Some("node-1 of")),
        (digest, "a manifest", None),
    ];
    for (digest, what, words) in cases {
        let path = fleet.registry.blob(&digest);
        let right = std::fs::read(&path).unwrap();
        let mut damaged = right.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for wrong in [&right[..right.len() / 2], &damaged[..]] {
            std::fs::write(&path, wrong).unwrap();
            // what was fetched before is not asked for again
            let _ = std::fs::remove_dir_all(fleet.station.path(".cache"));
            let out = fleet.station.output(&["pull", &fleet.name, "--node", "1", "--network-tries", "1"]);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            match words {
                Some(words) => {
                    assert_eq!(out.status.code(), Some(3), "{what}: {said}");
                    assert!(
                        said.contains(words) && said.contains("is damaged: the registry gives sha256:"),
                        "{said}"
                    );
                    assert!(said.contains("have it removed at the registry"), "{said}");
                }
                None => assert!(matches!(out.status.code(), Some(1 | 3)), "{what}: {said}"),
            }
            assert!(!fleet.station.path("images/node-1.img").exists(), "{what}: an image is there");
        }
        std::fs::write(&path, right).unwrap();
    }
    fleet.station.good(&["pull", &fleet.name, "--node", "1"]);
}
