//! `--offline` never touches the network.

use support::fetching::{Machine, image, sha256, sums, xz};
use support::gpg::Gpg;
use support::http::{File, Server};

#[test]
fn with_and_without_a_cache() {
    let (server, machine, gpg) = (Server::start(), Machine::new(), Gpg::new());
    gpg.key("test", "ed25519", "sign", "never", None);
    let packed = xz(&image(120));
    let name = "ubuntu-22.04.5-preinstalled-server-arm64+raspi.img.xz";
    let path = |file: &str| format!("/22.04.5/release/{file}");
    let list = sums(&[(name, &packed)]);
    server.put(&path(name), File::new(&packed));
    server.put(&path("SHA256SUMS"), File::new(&list));
    server.put(&path("SHA256SUMS.gpg"), File::new(&gpg.sign("test", &list, &[])));
    machine.put("key.gpg", &gpg.export("test"));
    machine.put(
        "pibake.toml",
        format!("[base]\nmirror = {:?}\nkeyring = \"key.gpg\"\n", server.url("")).as_bytes(),
    );

    let url = server.url("/plain.img.xz");
    server.put("/plain.img.xz", File::new(&packed));
    let digest = sha256(&packed);
    let given = [&*url, "--sha256", &digest, "--offline"];
    machine.fetch(&["22.04.5", "--offline"]).bad(1, "22.04.5 is not in the cache");
    machine.fetch(&given).bad(1, "--offline forbids to fetch it");
    machine.fetch(&[&url, "--insecure-base", "--offline"]).bad(1, "is not in the cache");
    machine.fetch(&["--offline", "sample"]).good();
    assert_eq!(server.all_seen().len(), 0);

    let online = machine.fetch(&["22.04.5"]).good();
    let requests = server.all_seen().len();
    machine.fetch(&["--offline", "22.04"]).good_as(&online);
    machine.fetch(&["--offline", "22.04.5", "--check"]).good_as(&online);
    assert_eq!(machine.fetch(&given).good()["sha256"], online["sha256"], "the same image by another way");
    machine.fetch(&["--offline", "24.04.3"]).bad(1, "24.04.3 is not in the cache");
    machine
        .run(&["build", "--offline", "--base", "20.04.5", "--nodes", "1"])
        .bad(1, "20.04.5 is not in the cache");
    assert_eq!(server.all_seen().len(), requests);
    assert!(machine.path().join("images").read_dir().map_or(0, Iterator::count) == 0);
    // online again nothing is asked for either: a release never changes
    machine.fetch(&["22.04.5"]).good();
    assert_eq!(server.all_seen().len(), requests);
}
