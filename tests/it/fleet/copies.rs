//! Other programs, and copies in other registries.

use support::{run, tool};

use super::{Fleet, Registry};

#[test]
fn skopeo_copies_it_and_the_copy_is_as_good() {
    let fleet = Fleet::pushed();
    let other = Registry::open();
    let at = |registry: &Registry, tag: &str| format!("docker://{}/home:{tag}", registry.host());
    let raw = run(tool("skopeo", "skopeo")
        .args(["inspect", "--raw", "--tls-verify=false"])
        .arg(at(&fleet.registry, "latest")));
    assert_eq!(raw.as_bytes(), fleet.manifest("latest"));
    let digest = support::fetching::sha256(raw.as_bytes());
    for tag in ["latest".to_owned(), format!("sha256-{digest}.minisig")] {
        let mut skopeo = tool("skopeo", "skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]);
        skopeo.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        run(skopeo.arg(at(&fleet.registry, &tag)).arg(at(&other, &tag)));
    }
    fleet.station.good(&["pull", &fleet.name, "-o", "one"]);
    let copy = fleet.name.replace(&fleet.registry.host(), &other.host());
    // all of it from there
    std::fs::remove_dir_all(fleet.station.path(".cache")).unwrap();
    fleet.station.good(&["pull", &copy, "-o", "two"]);
    for node in ["node-1.img", "node-2.img"] {
        assert!(fleet.station.read(&format!("one/{node}")) == fleet.station.read(&format!("two/{node}")));
    }
}

#[test]
fn minisign_and_age_read_what_is_theirs() {
    let fleet = Fleet::pushed();
    let dir = tempfile::tempdir().unwrap();
    let index = fleet.manifest("latest");
    let file = dir.path().join("index.json");
    std::fs::write(&file, &index).unwrap();
    let tag = format!("sha256-{}.minisig", support::fetching::sha256(&index));
    let manifest: serde_json::Value = serde_json::from_slice(&fleet.manifest(&tag)).unwrap();
    assert_eq!(manifest["subject"]["digest"], format!("sha256:{}", support::fetching::sha256(&index)));
    let signature = fleet.registry.blob(manifest["layers"][0]["digest"].as_str().unwrap());
    let minisign = || {
        let mut minisign = tool("minisign", "minisign");
        minisign.args(["-V", "-H", "-P", &fleet.key, "-m"]).arg(&file).arg("-x").arg(&signature);
        minisign
    };
    run(&mut minisign());
    std::fs::write(&file, [&index[..], b" "].concat()).unwrap();
    assert!(!minisign().output().unwrap().status.success());

    // the key itself is one of minisign's
    std::fs::write(&file, &index).unwrap();
    let mut sign = tool("minisign", "minisign");
    sign.arg("-S").arg("-s").arg(fleet.owner.path(".pibake/fleet_key")).arg("-m").arg(&file);
    run(sign.arg("-x").arg(dir.path().join("own.minisig")));
    let mut again = tool("minisign", "minisign");
    again.args(["-V", "-P", &fleet.key, "-m"]).arg(&file);
    run(again.arg("-x").arg(dir.path().join("own.minisig")));

    let (node, _) = fleet.listed("vnd.pibake.node", Some("node-2"));
    let sealed = fleet.registry.blob(node["layers"][0]["digest"].as_str().unwrap());
    let plain = dir.path().join("plain");
    let mut age = tool("age", "age");
    age.arg("-d").arg("-i").arg(fleet.station.path(".config/pibake/station.key"));
    run(age.arg("-o").arg(&plain).arg(sealed));
    let plain = zstd::decode_all(&std::fs::read(plain).unwrap()[..]).unwrap();
    assert!(plain.starts_with(b"pibakech"));
}
