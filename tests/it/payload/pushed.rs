//! Preloaded nodes that go through a registry: the payload is there once for each role, and the images are those of a build.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::desk::Desk;
use crate::fixture;
use crate::fleet::secrets::{in_no_blob, of_cluster};

/// What a run on some machine, whose folder is `home`, says as a document.
fn said(dir: &Path, home: &Path, words: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
    command.current_dir(dir).env("HOME", home).env("SOURCE_DATE_EPOCH", "1700000000");
    command.env("XDG_CACHE_HOME", home.join("cache")).env("XDG_CONFIG_HOME", home.join("config"));
    let out = command.env("DOCKER_CONFIG", home).arg("--json").args(words).output().unwrap();
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn preloaded_images_are_the_same_from_a_registry() {
    let desk = Desk::new(64);
    let (own, folder) = (desk.path("home"), desk.path("."));
    let station = tempfile::tempdir().unwrap();
    let there = |words: &[&str]| said(station.path(), station.path(), words);
    let name = format!("oci://{}/fleet", desk.world.registry_name());
    let key = there(&["key"])["public"].as_str().unwrap().to_owned();
    let pushed = said(&folder, &own, &["push", &name, "--recipient", &key]);
    said(&folder, &own, &["build", "-o", "built"]);
    there(&["key", "--trust", pushed["key"].as_str().unwrap()]);
    let listed = there(&["inspect", &name]);
    assert!(listed["nodes"].as_array().unwrap().iter().all(|node| node["preloaded"] == true), "{listed}");
    there(&["pull", &name, "-o", "pulled"]);
    for node in ["node-1.img", "node-2.img", "node-1.spdx.json", "node-2.spdx.json"] {
        let [built, pulled] = [desk.path("built").join(node), station.path().join("pulled").join(node)]
            .map(|path| std::fs::read(path).unwrap());
        assert!(built == pulled, "{node} differs");
    }
    // and what all of them get has no secret in it
    let secrets = [of_cluster(&desk.path(".pibake")), vec![fixture::PSK.to_owned()]].concat();
    let (packed, sealed) = in_no_blob(&desk.world.registry_data(), &secrets);
    assert!(packed > 3 && sealed == 2, "{packed} {sealed}");
    // the payload is not sent again
    let again = said(&folder, &own, &["push", &name, "--recipient", &key]);
    let nodes = again["nodes"].as_array().unwrap().iter().map(|node| node["bytes"].as_u64().unwrap());
    let (sent, own) = (again["sent_bytes"].as_u64().unwrap(), nodes.sum::<u64>());
    assert!(sent < own + 10_000, "{sent} bytes were sent, {own} are of the nodes");
}
