//! Files of the user's own, and every way in which an image may be packed.

use support::fetching::{Machine, gz, image, sha256, sums, xz, zst};
use support::gpg::Gpg;
use support::http::{File, Server};

#[test]
fn every_way_of_packing_gives_the_same_image() {
    let raw = image(100);
    let server = Server::start();
    for (name, packed) in
        [("a.img.xz", xz(&raw)), ("a.img.zst", zst(&raw)), ("a.img.gz", gz(&raw)), ("a.img", raw.clone())]
    {
        let machine = Machine::new();
        server.put(&format!("/{name}"), File::new(&packed));
        let url = server.url(&format!("/{name}"));
        let fetched = machine.fetch(&[&url, "--sha256", &sha256(&packed)]).good();
        machine.assert_cached(&packed, &raw);
        assert_eq!(fetched["packed_bytes"], packed.len(), "{name}");

        let machine = Machine::new();
        let path = machine.put(name, &packed);
        let fetched = machine.fetch(&[&path]).good();
        assert_eq!(
            (&fetched["trust"], &fetched["sha256"]),
            (&"own".into(), &sha256(&packed).into()),
            "{name}"
        );
        if name == "a.img" {
            assert_eq!(fetched["path"], path, "a raw image is used where it is");
            machine.assert_nothing_kept();
        } else {
            machine.assert_cached(&packed, &raw);
        }
        // the name does not matter
        let renamed = machine.put("another.bin", &packed);
        assert_eq!(machine.fetch(&[&renamed]).good()["sha256"], sha256(&packed));
        machine.fetch(&[&format!("file://{path}"), "--check"]).good_as(&fetched);
        machine.fetch(&["--offline", &path]).good_as(&fetched);
    }
}

#[test]
fn what_unpacks_to_more_than_it_should_is_refused_on_the_way() {
    let machine = Machine::new();
    // more than a GiB, in some ten thousand to a million bytes
    let mut raw = vec![0; (1 << 30) + (1 << 20)];
    raw[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (name, packed) in [("a.img.gz", gz(&raw)), ("a.img.zst", zst(&raw))] {
        let path = machine.put(name, &packed);
        let outcome = machine.fetch(&[&path, "--max-base-size", "1"]);
        outcome.bad(3, "it unpacks to more than 1.0 GiB");
        machine.assert_nothing_kept();
    }
    let path = machine.path().join("a.img.zst");
    assert_eq!(machine.fetch(&[path.to_str().unwrap()]).good()["bytes"], raw.len());
}

#[test]
fn zeros_are_holes_whatever_it_came_as() {
    let mut raw = image(101);
    raw.resize(64 << 20, 0);
    for packed in [xz(&raw), gz(&raw), zst(&raw)] {
        let machine = Machine::new();
        let path = machine.put("a.img", &packed);
        let fetched = machine.fetch(&[&path]).good();
        assert_eq!(fetched["bytes"], 64 << 20);
        assert!(fetched["disk_bytes"].as_u64().unwrap() < 2 << 20, "{fetched}");
        machine.assert_cached(&packed, &raw);
    }
}

#[test]
fn a_list_beside_a_file_of_the_users_own_is_heeded() {
    let (raw, machine) = (image(102), Machine::new());
    let packed = xz(&raw);
    let path = machine.put("some.img.xz", &packed);
    let trust = |arguments: &[&str]| machine.fetch(&[&[&*path], arguments].concat()).good()["trust"].clone();
    assert_eq!(trust(&[]), "own");
    machine.put("SHA256SUMS", &sums(&[("some.img.xz", &packed)]));
    assert_eq!(trust(&[]), "beside");
    machine.put("SHA256SUMS", &sums(&[("other.img.xz", &packed)]));
    assert_eq!(trust(&[]), "own", "a list that does not name it says nothing of it");
    machine.put("SHA256SUMS", b"no list at all");
    assert_eq!(trust(&[]), "own");
    // what it names is to be what it says
    machine.put("SHA256SUMS", &sums(&[("some.img.xz", b"the whole of it")]));
    machine.fetch(&[&path]).bad(3, &format!("its SHA-256 is {}, expected", sha256(&packed)));
    assert_eq!(trust(&["--insecure-base"]), "own");
    assert_eq!(trust(&["--sha256", &sha256(&packed)]), "given");
    machine.fetch(&[&path, "--sha256", &sha256(b"x")]).bad(3, "expected");
    // the same of a raw one, which is used in place
    let path = machine.put("some.img", &raw);
    machine.put("SHA256SUMS", &sums(&[("some.img", &packed)]));
    machine.fetch(&[&path]).bad(3, &format!("its SHA-256 is {}", sha256(&raw)));
    machine.put("SHA256SUMS", &sums(&[("some.img", &raw)]));
    assert_eq!(machine.fetch(&[&path]).good()["trust"], "beside");
}

#[test]
fn a_signed_list_beside_it_is_worth_its_signature() {
    let (gpg, other, machine) = (Gpg::new(), Gpg::new(), Machine::new());
    let fingerprint = gpg.key("test", "ed25519", "sign", "never", None);
    other.key("other", "ed25519", "sign", "never", None);
    let packed = xz(&image(103));
    let path = machine.put("some.img.xz", &packed);
    machine.put("key.gpg", &gpg.export("test"));
    machine.put("pibake.toml", b"[base]\nkeyring = \"key.gpg\"\n");
    let list = sums(&[("some.img.xz", &packed)]);
    machine.put("SHA256SUMS", &list);
    machine.put("SHA256SUMS.gpg", &gpg.sign("test", &list, &[]));
    let fetched = machine.fetch(&[&path]).good();
    assert_eq!((&fetched["trust"], &fetched["signed_by"]), (&"signed".into(), &fingerprint.clone().into()));
    machine.put("SHA256SUMS.gpg", &other.sign("other", &list, &[]));
    let outcome = machine.fetch(&[&path]);
    assert_eq!(outcome.good()["trust"], "beside");
    assert!(outcome.stderr.contains("is not relied on"), "{}", outcome.stderr);
    // a list that was signed and then changed
    machine.put("SHA256SUMS.gpg", &gpg.sign("test", &sums(&[("some.img.xz", b"x")]), &[]));
    machine.fetch(&[&path]).bad(3, "checking the signature of");
}

#[test]
fn bad_files_of_the_users_own() {
    let machine = Machine::new();
    let packed = xz(&image(104));
    let fetch = |name: &str, bytes: &[u8]| machine.fetch(&[&machine.put(name, bytes)]);
    fetch("short.img.xz", &packed[..packed.len() / 2]).bad(3, "the file is truncated");
    let mut flipped = packed.clone();
    flipped[packed.len() / 2] ^= 1;
    fetch("flipped.img.xz", &flipped).bad(3, "it is damaged");
    fetch("empty.img", b"").bad(3, "the file is empty");
    fetch("page.img.xz", b"<html><body>Not found</body></html>").bad(3, "it is a web page");
    fetch("text.img", b"hello, world").bad(3, "it is neither a disk image");
    fetch("x.zip", b"PK\x03\x04...").bad(3, "a zip archive: unpack it");
    machine.assert_nothing_kept();
    machine.fetch(&["./none.img.xz"]).bad(2, "opening the base image ./none.img.xz");
    machine.fetch(&[machine.path().to_str().unwrap()]).bad(2, "is a folder");
    machine.fetch(&["/dev/null"]).bad(2, "not a regular file");
    machine.fetch(&["24.4.3"]).bad(2, "did you mean 24.04.3?");
    machine.fetch(&["sample", "--sha256", &sha256(b"x")]).bad(2, "does not go with the built-in sample");
}

#[test]
fn a_changed_file_is_another_image() {
    let machine = Machine::new();
    let (one, two) = (image(105), image(106));
    let (packed_one, packed_two) = (xz(&one), xz(&two));
    let path = machine.put("a.img.xz", &packed_one);
    machine.fetch(&[&path]).good();
    machine.put("a.img.xz", &packed_two);
    assert_eq!(machine.fetch(&[&path]).good()["sha256"], sha256(&packed_two));
    assert!(std::fs::read(machine.cached(&packed_two)).unwrap() == two);
    // the first one is still there, under any name
    assert_eq!(machine.fetch(&[&machine.put("b.img.xz", &packed_one)]).good()["sha256"], sha256(&packed_one));
    assert!(std::fs::read(machine.cached(&packed_one)).unwrap() == one);
}

#[test]
fn a_digest_in_the_description_is_that_of_its_own_image() {
    let machine = Machine::new();
    let (one, two) = (xz(&image(107)), xz(&image(108)));
    machine.put("one.img.xz", &one);
    machine.put("two.img.xz", &two);
    let describe = |digest: &str| {
        let text = format!("[base]\nimage = \"./one.img.xz\"\nsha256 = \"{digest}\"\n");
        machine.put("pibake.toml", text.as_bytes());
    };
    describe(&sha256(&one));
    assert_eq!(machine.fetch(&[]).good()["trust"], "given");
    assert_eq!(machine.fetch(&["./two.img.xz"]).good()["trust"], "own");
    describe(&sha256(&two));
    machine.fetch(&[]).bad(3, "its SHA-256 is");
    assert_eq!(machine.fetch(&["--sha256", &sha256(&one)]).good()["trust"], "given");
}
