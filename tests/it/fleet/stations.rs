//! `pibake station` as far as it goes without cards.

use serde_json::json;
use support::fetching::sha256;

use super::Fleet;

#[test]
fn who_cannot_agree_with_others_is_told_so_before_anything_is_fetched() {
    let mut fleet = Fleet::pushed();
    for more in [&[][..], &["--node", "1"]] {
        let words = [&["--offline", "station", fleet.name.as_str()], more].concat();
        let said = fleet.station.refused(2, &words);
        assert!(said.contains("do not go with --offline"), "{said}");
    }
    fleet.registry.read_only();
    for more in [&[][..], &["--node", "1"]] {
        let words = [&["station", fleet.name.as_str()], more].concat();
        let said = fleet.station.refused(2, &words);
        assert!(
            said.contains("putting the manifest claim-") && said.contains("the registry says 405"),
            "{said}"
        );
        // a slow machine shows that the signature was read
        let large = ["nodes", "packages", "the base image"].map(|what| format!("downloading {what}"));
        assert!(!large.iter().any(|what| said.contains(what)) && !said.contains("to begin"), "{said}");
    }
}

#[test]
fn what_a_run_could_not_tell_any_more_the_next_one_tells() {
    let fleet = Fleet::pushed();
    let ca = fleet.index()["annotations"]["vnd.pibake.fleet"].as_str().unwrap().to_owned();
    let made = |place: &str, node: &str| {
        json!({
            "place": place,
            "claim": {
                "node": node,
                "state": "written",
                "station": fleet.station.key(),
                "serial": 1,
                "index": format!("sha256:{}", sha256(&fleet.manifest("latest"))),
                "time": "2026-11-27T04:00:00Z",
                "card": format!("the card of {node}"),
                "result": "written and read back",
            },
        })
    };
    let place = format!("{}/home {ca}", fleet.registry.host());
    let other = made("registry.invalid/home sha256:x", "node-7");
    let note = json!([made(&place, "node-1"), other, made(&place, "node-2")]);
    let file = fleet.station.path(".config/pibake/untold");
    std::fs::write(&file, note.to_string()).unwrap();
    // nothing is left to be made, so nothing is asked
    let done = fleet.station.good(&["station", &fleet.name]);
    let cards: Vec<_> = done["taken"].as_array().unwrap().iter().map(|one| one["card"].clone()).collect();
    assert_eq!(cards, ["the card of node-1", "the card of node-2"], "{done}");
    assert_eq!(
        (&done["left"], &done["cards"], &done["taken"][0]["serial"]),
        (&json!([]), &json!([]), &json!(1))
    );
    // of others nobody was told here
    let left: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(left, json!([other]));
    std::fs::write(&file, "{").unwrap();
    let said = fleet.station.refused(2, &["station", &fleet.name]);
    assert!(said.contains("untold") && said.contains("remove it"), "{said}");
}
