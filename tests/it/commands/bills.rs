//! Bills beside images: valid to SPDX's own validator, the same for the same card, and silent of secrets.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use support::{fetching, spdx};

fn pibake(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("pibake").unwrap();
    command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
    command.args(arguments).assert()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_bill_lists_the_base_and_what_was_written_and_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let built = pibake(dir.path(), &["build", "--base", "sample", "--nodes", "2", "--json"]).success();
    let built: Value = serde_json::from_slice(&built.get_output().stdout).unwrap();
    assert_eq!(built["images"][0]["bill"], "images/node-1.spdx.json");
    for node in ["node-1", "node-2"] {
        let bill = dir.path().join(format!("images/{node}.spdx.json"));
        spdx::assert_valid(&bill);
        // no secret is in it, so it may be read by whoever may read other files
        assert_ne!(fs::metadata(&bill).unwrap().permissions().mode() & 0o044, 0);
        let bill = read(&bill);
        assert_eq!(bill["creationInfo"]["created"], "2023-11-14T22:13:20Z");
        let packages = bill["packages"].as_array().unwrap();
        let base = packages.iter().find(|package| package["SPDXID"] == "SPDXRef-Base").unwrap();
        assert_eq!(base["checksums"][0]["checksumValue"], built["base"]["sha256"]);

        // what is on the card has the checksum that the bill has
        let files = bill["files"].as_array().unwrap();
        let listed = |name: &str| files.iter().find(|file| file["fileName"] == name);
        for name in ["/etc/hostname", "/boot/firmware/cmdline.txt", "/boot/firmware/user-data"] {
            let image = format!("images/{node}.img");
            let content =
                pibake(dir.path(), &["inspect", &image, name]).success().get_output().stdout.clone();
            let file = listed(&format!(".{name}")).unwrap_or_else(|| panic!("{name} is not listed"));
            assert_eq!(file["checksums"][1]["checksumValue"], fetching::sha256(&content), "{name}");
            assert_eq!(file["checksums"][0]["algorithm"], "SHA1");
        }
        assert_eq!(listed("./etc/hostname").unwrap()["comment"], "mode 0644, owner 0:0");

        // files with secrets are named, and nothing is told of what is in them
        let written = packages.iter().find(|package| package["SPDXID"] == "SPDXRef-Written").unwrap();
        let excluded = &written["packageVerificationCode"]["packageVerificationCodeExcludedFiles"];
        let excluded: BTreeSet<&str> =
            excluded.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(excluded.contains("./etc/pibake/kubeadm.yaml"), "{excluded:?}");
        assert!(excluded.contains("./etc/ssh/ssh_host_ed25519_key"), "{excluded:?}");
        assert_eq!(excluded.contains("./etc/kubernetes/pki/ca.key"), node == "node-1");
        assert!(excluded.iter().all(|name| listed(name).is_none()));
    }
}

#[test]
fn the_same_card_has_the_same_bill() {
    let dir = tempfile::tempdir().unwrap();
    let bill = |folder: &str| fs::read(dir.path().join(folder).join("node-1.spdx.json")).unwrap();
    pibake(dir.path(), &["build", "--base", "sample", "--nodes", "2"]).success();
    pibake(
        dir.path(),
        &["build", "--base", "sample", "--nodes", "2", "--node", "1", "-o", "a", "--format", "zst"],
    )
    .success();
    assert_eq!(bill("images"), bill("a"));
    let names: BTreeSet<_> =
        fs::read_dir(dir.path().join("a")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains(".tmp")), "{names:?}");
}

#[test]
fn a_build_that_fails_leaves_no_bill() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("images/node-1.spdx.json")).unwrap();
    pibake(dir.path(), &["build", "--base", "sample", "--nodes", "1"])
        .failure()
        .stderr(predicates::str::contains("node-1.spdx.json"));
    assert!(dir.path().join("images/node-1.spdx.json").is_dir());
}
