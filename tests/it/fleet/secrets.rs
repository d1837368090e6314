//! What a registry and its administrators see.

use super::{Fleet, files};

#[test]
fn no_blob_holds_a_secret() {
    let fleet = Fleet::pushed();
    let text = |name: &str| String::from_utf8(fleet.owner.read(&format!(".pibake/{name}"))).unwrap();
    // a key's second line is its own
    let line = |name: &str, number: usize| text(name).lines().nth(number).unwrap().to_owned();
    let mut secrets = vec![line("ca.key", 1), line("ssh_key", 3), line("fleet_key", 1), text("host_keys")];
    secrets.extend(text("token").lines().take(2).map(str::to_owned));
    secrets.iter_mut().for_each(|secret| *secret = secret.trim().to_owned());
    assert!(secrets.iter().all(|secret| secret.len() > 15), "a secret is no secret");

    let blobs = files(&fleet.registry.data());
    let (mut packed, mut sealed) = (0, 0);
    for path in &blobs {
        let bytes = std::fs::read(path).unwrap();
        let unpacked = zstd::decode_all(&bytes[..]);
        packed += usize::from(unpacked.is_ok());
        sealed += usize::from(bytes.starts_with(b"age-encryption.org/v1\n"));
        for content in [Some(&bytes), unpacked.as_ref().ok()].into_iter().flatten() {
            for secret in &secrets {
                let is_there = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!is_there, "{} holds {secret}", path.display());
            }
        }
    }
    assert!(packed >= 3 && sealed == 2, "{packed} {sealed} of {}", blobs.len());

    // they are there for the one they are for, as the image shows
    fleet.station.good(&["pull", &fleet.name, "--node", "1"]);
    let image = fleet.station.read("images/node-1.img");
    let ca = secrets[0].as_bytes();
    assert!(image.windows(ca.len()).any(|window| window == ca));
}
