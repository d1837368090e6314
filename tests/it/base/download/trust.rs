//! Who may vouch for an image, and what happens where nobody does.

use support::fetching::{Machine, image, sha256, sums, xz};
use support::gpg::Gpg;
use support::http::{Fault, File, Server};

const NAME: &str = "ubuntu-20.04.5-preinstalled-server-arm64+raspi.img.xz";
const FOLDER: &str = "/mirror/20.04.5/release";

/// A mirror of Ubuntu's server whose lists are signed by a key of its own.
struct Mirror {
    server: Server,
    gpg: Gpg,
    fingerprint: String,
    packed: Vec<u8>,
    raw: Vec<u8>,
}

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

impl Mirror {
    fn new() -> Self {
        let gpg = Gpg::new();
        let fingerprint = gpg.key("test", "ed25519", "sign", "never", None);
        let raw = image(1);
        let mirror = Self { server: Server::start(), gpg, fingerprint, packed: xz(&raw), raw };
        mirror.server.put(&path(NAME), File::new(&mirror.packed));
        mirror.publish(&sums(&[(NAME, &mirror.packed)]));
        mirror
    }

    /// Puts up a list and signs it.
    fn publish(&self, list: &[u8]) {
        self.server.put(&path("SHA256SUMS"), File::new(list));
        self.server.put(&path("SHA256SUMS.gpg"), File::new(&self.gpg.sign("test", list, &[])));
    }

    /// A machine that is told of this mirror and its key.
    fn machine(&self) -> Machine {
        let machine = Machine::new();
        machine.put("key.gpg", &self.gpg.export("test"));
        let mirror = self.server.url("/mirror");
        machine
            .put("pibake.toml", format!("[base]\nmirror = {mirror:?}\nkeyring = \"key.gpg\"\n").as_bytes());
        machine
    }

    fn image_requests(&self) -> usize {
        self.server.seen(&path(NAME)).iter().filter(|seen| seen.method == "GET").count()
    }

    /// Panics unless a fetch fails with this before the image itself was asked for.
    fn refused(&self, code: i32, said: &str) {
        let machine = self.machine();
        machine.fetch(&[]).bad(code, said);
        machine.assert_nothing_kept();
        assert_eq!(self.image_requests(), 0, "the image was asked for, though nothing vouches for it");
    }
}

#[test]
fn a_signed_image_is_fetched_once() {
    let mirror = Mirror::new();
    let machine = mirror.machine();
    let first = machine.fetch(&[]).good();
    assert_eq!(first["trust"], "signed");
    assert_eq!(first["signed_by"], mirror.fingerprint);
    assert_eq!(first["release"], "20.04.5");
    assert_eq!(first["sha256"], sha256(&mirror.packed));
    assert_eq!(first["bytes"], mirror.raw.len());
    assert_eq!(first["packed_bytes"], mirror.packed.len());
    assert_eq!(first["path"], machine.cached(&mirror.packed).to_str().unwrap());
    machine.assert_cached(&mirror.packed, &mirror.raw);
    // a release never changes: what is here is not asked for again, not even whether it is the same
    let requests = mirror.server.all_seen().len();
    assert_eq!(requests, 3, "the list, its signature and the image");
    machine.fetch(&["20.04.5", "--check"]).good_as(&first);
    assert_eq!(mirror.server.all_seen().len(), requests);
    // whether a series has a newer one is asked, and this mirror cannot say
    machine.fetch(&["20.04"]).good_as(&first);
    assert_eq!(mirror.server.all_seen().len(), requests + 1);
    // people get the same
    let table = machine.run(&["fetch"]).stdout;
    for said in ["20.04.5", &sha256(&mirror.packed), &format!("signed by {}", mirror.fingerprint), "2.0 MiB"]
    {
        assert!(table.contains(said), "{said} is not in:\n{table}");
    }
}

#[test]
fn unsigned() {
    let mirror = Mirror::new();
    mirror.server.remove(&path("SHA256SUMS.gpg"));
    mirror.refused(3, "SHA256SUMS beside it is not signed: there is no SHA256SUMS.gpg");
    mirror.server.remove(&path("SHA256SUMS"));
    mirror.refused(3, "there is no SHA256SUMS beside it; give its --sha256, or accept it");
}

#[test]
fn wrongly_signed_or_by_somebody_else() {
    let mirror = Mirror::new();
    let list = sums(&[(NAME, &mirror.packed)]);
    let changed = sums(&[(NAME, b"something else")]);
    mirror.server.put(&path("SHA256SUMS"), File::new(&changed));
    mirror.refused(3, "checking the signature of");

    let other = Gpg::new();
    let theirs = other.key("other", "ed25519", "sign", "never", None);
    mirror.server.put(&path("SHA256SUMS"), File::new(&list));
    mirror.server.put(&path("SHA256SUMS.gpg"), File::new(&other.sign("other", &list, &[])));
    mirror.refused(3, &theirs);
    mirror.server.put(&path("SHA256SUMS.gpg"), File::new(b"no signature"));
    mirror.refused(3, "checking the signature of");

    // without a keyring of the user's only Ubuntu's key will do
    let machine = mirror.machine();
    mirror.publish(&list);
    machine.put("pibake.toml", format!("[base]\nmirror = {:?}\n", mirror.server.url("/mirror")).as_bytes());
    machine.fetch(&[]).bad(3, &mirror.fingerprint);
    machine.assert_nothing_kept();
    assert_eq!(mirror.image_requests(), 0);
}

#[test]
fn an_expired_key() {
    let mirror = Mirror::new();
    mirror.gpg.key("old", "ed25519", "sign", "1y", Some("20200101T000000!"));
    let list = sums(&[(NAME, &mirror.packed)]);
    let signature = mirror.gpg.sign("old", &list, &["--faked-system-time", "20200201T000000!"]);
    mirror.server.put(&path("SHA256SUMS.gpg"), File::new(&signature));
    let machine = mirror.machine();
    machine.put("key.gpg", &mirror.gpg.export("old"));
    machine.fetch(&[]).bad(3, "expired");
    machine.assert_nothing_kept();
    assert_eq!(mirror.image_requests(), 0);
}

#[test]
fn an_image_that_is_not_listed() {
    let mirror = Mirror::new();
    mirror.publish(&sums(&[("ubuntu-20.04.5-preinstalled-server-armhf+raspi.img.xz", &mirror.packed)]));
    mirror.refused(3, &format!("does not list {NAME}"));
}

#[test]
fn a_wrong_digest() {
    let mirror = Mirror::new();
    let other = xz(&image(2));
    mirror.publish(&sums(&[(NAME, &other)]));
    let machine = mirror.machine();
    let outcome = machine.fetch(&[]);
    outcome.bad(3, &format!("its SHA-256 is {}, expected {}", sha256(&mirror.packed), sha256(&other)));
    machine.assert_nothing_kept();
    assert_eq!(mirror.image_requests(), 1, "what is wrong is wrong: it is not tried again");
    // once the server is put right, so is the machine
    mirror.publish(&sums(&[(NAME, &mirror.packed)]));
    machine.fetch(&[]).good();
    machine.assert_cached(&mirror.packed, &mirror.raw);
}

#[test]
fn a_truncated_image() {
    let mirror = Mirror::new();
    let short = mirror.packed[..mirror.packed.len() * 2 / 3].to_vec();
    mirror.server.put(&path(NAME), File::new(&short));
    let machine = mirror.machine();
    machine.fetch(&[]).bad(3, &format!("its SHA-256 is {}", sha256(&short)));
    machine.assert_nothing_kept();
    // also where it was published like that
    mirror.publish(&sums(&[(NAME, &short)]));
    machine.fetch(&[]).bad(3, "the file is truncated");
    machine.assert_nothing_kept();
}

#[test]
fn what_unpacks_to_more_than_the_release_has_is_given_up_on_the_way() {
    // 6 GiB of zeros in some three megabytes: the same stream again and again, as xz allows
    let mut piece = vec![0; 256 << 20];
    piece[510..512].copy_from_slice(&[0x55, 0xaa]);
    let piece = xz(&piece);
    let bomb = piece.repeat(24);
    assert!(bomb.len() < 4 << 20, "{}", bomb.len());
    let mirror = Mirror::new();
    mirror.server.put(&path(NAME), File::new(&bomb));
    mirror.publish(&sums(&[(NAME, &bomb)]));
    let machine = mirror.machine();
    // an eighth over what this release has
    machine.fetch(&[]).bad(3, "it unpacks to more than 3.7 GiB");
    machine.assert_nothing_kept();
    // what the list does not have is refused as that, unless the bound is met before
    mirror.publish(&sums(&[(NAME, &mirror.packed)]));
    let machine = mirror.machine();
    machine.fetch(&[]).code_is(3);
    machine.assert_nothing_kept();
}

#[test]
fn a_flipped_bit() {
    let mirror = Mirror::new();
    for at in [mirror.packed.len() / 2, mirror.packed.len() - 5, 3] {
        let mut bad = mirror.packed.clone();
        bad[at] ^= 0x10;
        mirror.server.put(&path(NAME), File::new(&bad));
        let machine = mirror.machine();
        let outcome = machine.fetch(&[]);
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
        machine.assert_nothing_kept();
        mirror.publish(&sums(&[(NAME, &bad)]));
        let outcome = machine.fetch(&[]);
        outcome.bad(3, "decompressing 20.04.5");
        machine.assert_nothing_kept();
        mirror.publish(&sums(&[(NAME, &mirror.packed)]));
    }
}

#[test]
fn a_web_page_instead_of_the_image() {
    let page = b"<!DOCTYPE html>\n<html><title>Log in to the hotel's network</title></html>\n";
    let mirror = Mirror::new();
    let gate = support::http::Gate::new();
    // half of the image is here when the network begins to ask for a login
    mirror.server.fail(&path(NAME), &[Fault::Hold(200_000, gate.clone())]);
    let machine = mirror.machine();
    let mut child = machine.command(&["fetch", "-q"]).spawn().unwrap();
    support::fetching::until("half is on the disk", || machine.partial() >= 200_000);
    child.kill().unwrap();
    child.wait().unwrap();
    gate.open();
    mirror.server.put(&path(NAME), File::new(page));
    machine.fetch(&[]).bad(3, "answered with a web page instead of the image");
    assert!(machine.partial() >= 200_000, "a login page is no reason to throw away what is here");
    assert_eq!(machine.names("images").iter().filter(|n| n.ends_with(".img")).count(), 0);

    for name in ["SHA256SUMS", "SHA256SUMS.gpg"] {
        mirror.server.put(&path(name), File::new(page));
        let outcome = machine.fetch(&[]);
        outcome.bad(3, &format!("{name} answered with a web page"));
        mirror.publish(&sums(&[(NAME, &mirror.packed)]));
    }
    mirror.server.put(&path(NAME), File::new(&mirror.packed));
    machine.fetch(&[]).good();
    machine.assert_cached(&mirror.packed, &mirror.raw);
    assert_eq!(mirror.server.seen(&path(NAME)).last().unwrap().range().0, Some("bytes=200000-"));
}

#[test]
fn not_there() {
    let mirror = Mirror::new();
    mirror.server.remove(&path(NAME));
    let machine = mirror.machine();
    machine.fetch(&[]).bad(1, "does not have 20.04.5");
    machine.assert_nothing_kept();
    assert_eq!(mirror.image_requests(), 1, "what is not there does not come by asking again");

    // nothing of the release is there: what the mirror has is told, and never that one might do
    // without a signature
    for name in ["SHA256SUMS", "SHA256SUMS.gpg"] {
        mirror.server.remove(&path(name));
    }
    let refused = |there: &str| {
        let outcome = machine.fetch(&[]);
        outcome.bad(1, &format!("the mirror {} does not have 20.04.5", mirror.server.url("/mirror")));
        for said in [there, "--base", "set base.mirror"] {
            assert!(outcome.stderr.contains(said), "{said:?} is not in: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("--insecure-base"), "{}", outcome.stderr);
    };
    refused("it shows no listing of what it has");
    let page = b"<!DOCTYPE html><a href=\"../\">..</a><a href=\"22.04.5/\">x</a><a href=\"24.04.3/\">x</a>";
    mirror.server.put("/mirror/", File::new(page));
    refused("it has 22.04.5, 24.04.3");
    let page = b"<html><a href='ubuntu-20.04.6-preinstalled-server-arm64%2Braspi.img.xz'>x</a></html>";
    mirror.server.put(&path(""), File::new(page));
    refused("there is ubuntu-20.04.6-preinstalled-server-arm64+raspi.img.xz in its place");
}

#[test]
fn whether_it_is_there_is_asked_as_patiently_as_for_the_image() {
    let mirror = Mirror::new();
    mirror.server.remove(&path("SHA256SUMS"));
    let status = |status| Fault::Status(status, vec![]);
    for faults in [
        vec![status(503)],
        vec![Fault::Refuse, status(429)],
        // who knows no HEAD is asked for the image's first byte
        vec![status(405)],
        vec![status(501), status(502)],
    ] {
        mirror.server.fail(&path(NAME), &faults);
        let before = mirror.server.seen(&path(NAME)).len();
        mirror.machine().fetch(&[]).bad(3, "there is no SHA256SUMS beside it");
        assert_eq!(mirror.server.seen(&path(NAME)).len(), before + faults.len() + 1);
    }
    // What does not pass is told as what it is.
    mirror.server.fail(&path(NAME), &[status(503), status(503)]);
    let outcome = mirror.machine().fetch(&["--network-tries", "2"]);
    outcome.bad(1, "the server says 503 Service Unavailable; try again later");
    assert!(!outcome.stderr.contains("does not have"), "{}", outcome.stderr);
    // Nor is it there where a server that knows no HEAD says so.
    mirror.server.remove(&path(NAME));
    mirror.server.fail(&path(NAME), &[status(405)]);
    mirror.machine().fetch(&[]).bad(1, "does not have 20.04.5");
}

/// As object storage says it of all that it does not have.
#[test]
fn who_is_forbidden_to_look_looks_further() {
    let mirror = Mirror::new();
    let forbidden = || mirror.server.fail(&path("SHA256SUMS"), &[Fault::Status(403, vec![])]);
    let machine = mirror.machine();
    forbidden();
    machine.fetch(&[]).bad(1, "the server says 403 Forbidden; check the address or the release");
    machine.assert_nothing_kept();
    let list = sums(&[(NAME, &mirror.packed)]);
    let signature = mirror.gpg.sign("test", &list, &[]);
    for (name, bytes) in [(NAME, &mirror.packed), ("SHA256SUMS", &list), ("SHA256SUMS.gpg", &signature)] {
        mirror.server.put(&format!("/mirror/20.04/release/{name}"), File::new(bytes));
    }
    forbidden();
    assert_eq!(machine.fetch(&[]).good()["trust"], "signed");
}

#[test]
fn an_address_that_nothing_vouches_for() {
    let server = Server::start();
    let (raw, machine) = (image(3), Machine::new());
    let packed = xz(&raw);
    let url = server.url("/some.img.xz");
    server.put("/some.img.xz", File::new(&packed));
    machine.fetch(&[&url]).bad(3, "there is no SHA256SUMS beside it");
    // a list that came over plain http is worth as much as the image that came with it
    server.put("/SHA256SUMS", File::new(&sums(&[("some.img.xz", &packed)])));
    machine.fetch(&[&url]).bad(3, "is not signed and came over plain http");
    assert_eq!(server.seen("/some.img.xz").len(), 0);

    let digest = sha256(&packed);
    assert_eq!(machine.fetch(&[&url, "--sha256", &digest]).good()["trust"], "given");
    machine.assert_cached(&packed, &raw);
    let wrong = sha256(b"another");
    machine.fetch(&[&url, "--sha256", &wrong]).bad(3, &format!("expected {wrong}"));
    machine.fetch(&[&url, "--sha256", "123"]).code_is(2);
    machine.assert_cached(&packed, &raw);
}

#[test]
fn an_insecure_base_is_taken_as_it_comes() {
    let server = Server::start();
    let (machine, path) = (Machine::new(), "/some.img.xz");
    let url = server.url(path);
    let (one, two) = (image(4), image(5));
    let (packed_one, packed_two) = (xz(&one), xz(&two));
    server.put(path, File::new(&packed_one));
    let fetch = || machine.fetch(&[&url, "--insecure-base"]);
    assert_eq!(fetch().good()["trust"], "nothing");
    machine.assert_cached(&packed_one, &one);
    // the same again: the server is asked whether it is
    fetch().good();
    let seen = server.seen(path);
    assert_eq!(seen.len(), 2);
    assert!(seen[1].header("if-none-match").is_some());
    // what it gave is not trusted by those who want to know what they get
    machine.fetch(&[&url]).bad(3, "there is no SHA256SUMS beside it");
    // another image at the same address
    server.put(path, File::new(&packed_two));
    assert_eq!(fetch().good()["sha256"], sha256(&packed_two));
    assert_eq!(machine.fetch(&[&url, "--insecure-base", "--offline"]).good()["sha256"], sha256(&packed_two));
    // a list beside it is believed so far that a broken transfer is seen
    server.put("/SHA256SUMS", File::new(&sums(&[("some.img.xz", &packed_one)])));
    server.remove(path);
    assert_eq!(fetch().good()["sha256"], sha256(&packed_one), "it is in the cache");
}

#[test]
fn a_bad_signature_can_be_waved_through_and_stays_bad() {
    let mirror = Mirror::new();
    mirror.server.put(&path("SHA256SUMS.gpg"), File::new(b"no signature"));
    let machine = mirror.machine();
    let outcome = machine.fetch(&["--insecure-base"]);
    assert_eq!(outcome.good()["trust"], "nothing");
    let list = mirror.server.url(&path("SHA256SUMS"));
    let said = format!("the signature of {list} is not relied on");
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
    machine.assert_cached(&mirror.packed, &mirror.raw);
    // that it lies in the cache vouches for nothing
    machine.fetch(&[]).bad(3, "checking the signature of");
    machine.fetch(&["--offline"]).bad(1, "--offline");
    mirror.publish(&sums(&[(NAME, &mirror.packed)]));
    assert_eq!(machine.fetch(&[]).good()["trust"], "signed");
    assert_eq!(mirror.image_requests(), 1);
}

#[test]
fn a_password_in_an_address_goes_to_the_server_alone() {
    let server = Server::start();
    let (raw, machine) = (image(6), Machine::new());
    let packed = xz(&raw);
    server.put("/some.img.xz", File::new(&packed));
    let url = server.url("/some.img.xz").replace("http://", "http://me:secret-word@");
    for arguments in [&["fetch", "-vvv", &url][..], &["fetch", "-vvv", "--insecure-base", "--json", &url]] {
        let outcome = machine.run(arguments);
        assert!(!(outcome.stdout + &outcome.stderr).contains("secret-word"));
    }
    let seen = server.seen("/some.img.xz");
    assert_eq!(seen[0].header("authorization"), Some("Basic bWU6c2VjcmV0LXdvcmQ="));
    machine.assert_cached(&packed, &raw);
    let grep = support::tool("grep", "grep").args(["-r", "secret-word"]).arg(machine.cache()).output();
    assert_eq!(grep.unwrap().status.code(), Some(1), "a password was written down");
}
