//! What a registry and its administrators see.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Fleet, Machine, files};

/// What nobody else may know of a cluster: all that is in the private files of `.pibake`.
pub(crate) fn of_cluster(dir: &Path) -> Vec<String> {
    // made for others, or said by what is made for them
    let public = [
        "ca.crt",
        "admin.crt",
        "ssh_key.pub",
        "known_hosts",
        "ssh_config",
        "identity.toml",
        ".gitignore",
        "fleet_numbers",
    ];
    let mut found = BTreeSet::new();
    for path in files(dir) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if public.contains(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // in a kubeconfig the keys are the long words
        let least = if name == "admin.conf" { 100 } else { 16 };
        let lines = text.lines().filter(|line| !line.starts_with("-----") && !line.contains("comment:"));
        let words = lines.flat_map(str::split_whitespace).filter(|word| word.len() >= least);
        let before = found.len();
        found.extend(words.map(str::to_owned));
        // ca.crt is in admin.conf, too
        assert!(found.len() > before, "{name} holds no secret");
    }
    found.into_iter().collect()
}

/// Sees that no blob of a registry holds any of these, packed or not. Says how many blobs are packed, and how many are
/// encrypted.
pub(crate) fn in_no_blob(data: &Path, secrets: &[String]) -> (usize, usize) {
    let begin = |bytes: &[u8]| -> [u8; 8] { bytes[..8].try_into().unwrap() };
    let begins: BTreeSet<[u8; 8]> = secrets.iter().map(|secret| begin(secret.as_bytes())).collect();
    let (mut packed, mut sealed) = (0, 0);
    for path in files(data) {
        let bytes = std::fs::read(&path).unwrap();
        let unpacked = zstd::decode_all(&bytes[..]);
        packed += usize::from(unpacked.is_ok());
        sealed += usize::from(bytes.starts_with(b"age-encryption.org/v1\n"));
        for content in [Some(&bytes), unpacked.as_ref().ok()].into_iter().flatten() {
            for (at, window) in content.windows(8).enumerate() {
                if window[0] == 0 || !begins.contains(window) {
                    continue;
                }
                let is_it = |secret: &&String| content[at..].starts_with(secret.as_bytes());
                let secret = secrets.iter().find(is_it);
                assert!(secret.is_none(), "{} holds {secret:?}", path.display());
            }
        }
    }
    (packed, sealed)
}

const PASSWORDS: [&str; 3] = ["of-the-login-alone", "of-the-radio-alone", "of-the-proxy-alone"];

#[test]
fn no_blob_holds_a_secret() {
    let owner = Machine::new();
    let [login, radio, proxy] = PASSWORDS;
    let text = format!(
        "[access]\npassword = \"{login}\"\n[network.wifi]\nssid = \"home\"\npassword = \"{radio}\"\ncountry = \"DE\"\n\
         [sources.proxy]\nhttp = \"http://me@proxy.example:3128\"\npassword = \"{proxy}\"\n"
    );
    std::fs::write(owner.path("pibake.toml"), text).unwrap();
    let fleet = Fleet::of(owner);
    let mut secrets = of_cluster(&fleet.owner.path(".pibake"));
    // each file of it: the CA, the administrator's, tokens, joining, SSH, salt, the fleet's own
    assert!(secrets.len() > 20, "{}", secrets.len());
    secrets.extend(PASSWORDS.map(str::to_owned));
    let (packed, sealed) = in_no_blob(&fleet.registry.data(), &secrets);
    assert!(packed >= 3 && sealed == 2, "{packed} {sealed}");

    // they are there for the one they are for, as the image shows; the search finds what is there
    fleet.station.good(&["pull", &fleet.name, "--node", "1"]);
    let image = fleet.station.read("images/node-1.img");
    let ca = String::from_utf8(fleet.owner.read(".pibake/ca.key")).unwrap();
    for secret in [ca.lines().nth(1).unwrap(), proxy] {
        assert!(image.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
    let seen = tempfile::tempdir().unwrap();
    std::fs::write(seen.path().join("blob"), zstd::encode_all(&image[..], 1).unwrap()).unwrap();
    assert!(std::panic::catch_unwind(|| in_no_blob(seen.path(), &secrets)).is_err());
}

#[test]
fn a_secret_key_in_the_place_of_a_public_one_is_shown_to_nobody() {
    let fleet = Fleet::pushed();
    let (station, owner) = (&fleet.station, &fleet.owner);
    let file = String::from_utf8(station.read(".config/pibake/station.key")).unwrap();
    let secret = file.lines().last().unwrap();
    assert!(secret.starts_with("AGE-SECRET-KEY-1"));
    let own = String::from_utf8(owner.read(".pibake/fleet_key")).unwrap();
    let own = own.lines().nth(1).unwrap();
    let path = station.path(".config/pibake/station.key").display().to_string();
    let small = secret.to_lowercase();
    let push = |recipient| ["push", &fleet.name, "--base", "sample", "--recipient", recipient];
    for words in [
        &push(secret)[..],
        &push(&small),
        &push(&path),
        &["key", "--trust", secret],
        &["key", "--trust", own],
        &["pull", &fleet.name, "--trust", secret],
        &["inspect", &fleet.name, "--trust", own],
    ] {
        for more in [&[][..], &["--json"], &["-vvv"]] {
            let out = station.output(&[words, more].concat());
            let said = [&out.stdout[..], &out.stderr].concat();
            let said = String::from_utf8_lossy(&said).to_uppercase();
            assert_eq!(out.status.code(), Some(2), "{words:?}: {said}");
            for secret in [secret, own] {
                assert!(!said.contains(&secret.to_uppercase()), "{:?} shows it", words[0]);
            }
        }
    }
    let said = owner.refused(2, &push(secret));
    assert!(said.contains("--recipient: it is a secret key: name the public one, age1…"), "{said}");
    let said = station.refused(2, &push(&path));
    assert!(said.contains("station.key, line 2: it is a secret key"), "{said}");
}
