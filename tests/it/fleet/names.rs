//! What a name stands for: one cluster, signed by one key, with numbers that only grow.

use serde_json::json;

use super::{Fleet, INDEX, Machine};

fn push_to(owner: &Machine, name: &str, station: &Machine) -> serde_json::Value {
    let key = station.key();
    owner.good(&["push", name, "--base", "sample", "--nodes", "1", "--recipient", &key])
}

#[test]
fn one_cluster_is_not_taken_for_another_that_is_trusted_as_well() {
    let (fleet, lab) = (Fleet::pushed(), Machine::new());
    let station = &fleet.station;
    let name = |tag: &str| format!("{}:{tag}", fleet.name);
    let pushed = push_to(&lab, &name("lab"), station);
    station.trust(pushed["key"].as_str().unwrap());
    station.good(&["pull", &fleet.name, "--node", "1"]);
    station.good(&["pull", &name("lab"), "-o", "lab"]);

    // whoever may write to the registry puts the one under the name of the other
    let right = fleet.manifest("latest");
    fleet.put("latest", INDEX, &fleet.manifest("lab"));
    let swapped = station.refused(3, &["pull", &fleet.name, "-o", "swapped"]);
    assert!(swapped.contains("was seen under this name on this machine before"), "{swapped}");
    assert!(!station.path("swapped").exists(), "something was written");

    // whoever has the other's key signs for this one, with a number that nothing comes after
    let mut forged: serde_json::Value = serde_json::from_slice(&right).unwrap();
    forged["annotations"]["vnd.pibake.serial"] = json!(u64::MAX.to_string());
    fleet.put_signed(&lab, &serde_json::to_vec(&forged).unwrap());
    for name in [&fleet.name, &format!("{}#1", fleet.name)] {
        let said = station.refused(3, &["inspect", name]);
        assert!(said.contains("was signed by") && said.contains("which is trusted here, too"), "{said}");
    }

    // neither kept anything from the right one, and a copy of that is as good
    fleet.put("latest", INDEX, &right);
    fleet.put("copy", INDEX, &right);
    station.good(&["pull", &fleet.name, "-o", "again"]);
    station.good(&["pull", &name("copy"), "-o", "copy"]);

    // it is said how to go on where that is meant
    let note = swapped.split_whitespace().find(|word| word.ends_with(".json"));
    std::fs::remove_file(note.unwrap_or_else(|| panic!("{swapped}"))).unwrap();
    fleet.put("latest", INDEX, &fleet.manifest("lab"));
    station.good(&["pull", &fleet.name, "-o", "meant"]);
    assert!(station.read("meant/node-1.img") == station.read("lab/node-1.img"));
}

#[test]
fn each_tag_has_numbers_of_its_own() {
    let fleet = Fleet::pushed();
    let [blue, green] = ["blue", "green"].map(|tag| format!("{}:{tag}", fleet.name));
    let serials: Vec<_> = [&blue, &green, &green]
        .map(|name| push_to(&fleet.owner, name, &fleet.station)["serial"].as_u64().unwrap())
        .to_vec();
    assert_eq!(serials, [1, 1, 2]);
    for (at, name) in [&green, &blue, &fleet.name, &green].into_iter().enumerate() {
        fleet.station.good(&["pull", name, "-o", &at.to_string()]);
    }
}

#[test]
fn a_registry_that_lost_its_number_gets_no_lower_one() {
    let fleet = Fleet::pushed();
    assert_eq!(fleet.push()["serial"], 2);
    fleet.station.good(&["pull", &fleet.name, "--node", "2"]);
    fleet.forget("latest");
    let said = fleet.station.refused(1, &["pull", &fleet.name]);
    assert!(said.contains("does not exist: check its name and tag"), "{said}");
    // from another machine, with nothing but the description and what is beside it
    for folder in [".config", ".cache"] {
        let _ = std::fs::remove_dir_all(fleet.owner.path(folder));
    }
    assert_eq!(fleet.push()["serial"], 3);
    fleet.station.good(&["pull", &fleet.name, "--node", "2", "-o", "again"]);
}

#[test]
fn a_new_key_is_believed_once_the_old_one_is_not() {
    let fleet = Fleet::pushed();
    let station = &fleet.station;
    station.good(&["pull", &fleet.name, "--node", "2"]);
    std::fs::remove_file(fleet.owner.path(".pibake/fleet_key")).unwrap();
    let key = station.key();
    let words = ["push", &fleet.name, "--base", "sample", "--nodes", "2", "--recipient", &key];
    let said = fleet.owner.refused(3, &words);
    assert!(said.contains("delete this one at the registry first"), "{said}");
    fleet.forget("latest");
    let pushed = fleet.push();
    assert_eq!(pushed["serial"], 2);
    let new = pushed["key"].as_str().unwrap();
    let pull = ["pull", &fleet.name, "--node", "2", "-o", "again"];
    let said = station.refused(3, &pull);
    assert!(said.contains("is not signed by a key that is trusted here"), "{said}");
    station.trust(new);
    let said = station.refused(3, &pull);
    assert!(said.contains("take the line of the old one out of the keys that are trusted here"), "{said}");
    std::fs::write(station.path(".config/pibake/trusted"), format!("{new}\n")).unwrap();
    station.good(&pull);
}
