//! A series is asked for anew each time, and a point release is found where it went: on a real web server, with
//! signed lists.

use std::path::PathBuf;

use support::fetching::{Machine, Outcome, image, sha256, sums, xz};
use support::gpg::Gpg;
use support::nginx::Nginx;

/// A mirror with the layout of cdimage's below `releases/`, and of old-releases' below `old/`.
struct Mirror {
    nginx: Nginx,
    files: tempfile::TempDir,
    gpg: Gpg,
}

fn file(release: &str) -> String {
    format!("ubuntu-{release}-preinstalled-server-arm64+raspi.img.xz")
}

/// The image of a release, of which no two are alike.
fn packed(release: &str) -> Vec<u8> {
    xz(&image(release.bytes().fold(7, |hash: u8, byte| hash.wrapping_mul(31).wrapping_add(byte))))
}

impl Mirror {
    fn new() -> Self {
        let (files, gpg) = (tempfile::tempdir().unwrap(), Gpg::new());
        gpg.key("test", "ed25519", "sign", "never", None);
        Self { nginx: Nginx::serve(files.path()), files, gpg }
    }

    fn folder(&self, folder: &str) -> PathBuf {
        let path = self.files.path().join(folder);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Signs a list of these images, among others that the real ones have.
    fn list(&self, folder: &str, releases: &[&str]) {
        let images: Vec<_> = releases.iter().map(|release| (file(release), packed(release))).collect();
        let mut listed: Vec<_> =
            images.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let others = [
            "ubuntu-24.04.99-preinstalled-desktop-arm64+raspi.img.xz",
            "ubuntu-24.04.99-preinstalled-server-armhf+raspi.img.xz",
            "ubuntu-24.04.99-live-server-arm64.iso",
        ];
        listed.extend(others.map(|name| (name, &b"another"[..])));
        self.publish(folder, &sums(&listed));
    }

    fn publish(&self, folder: &str, list: &[u8]) {
        let folder = self.folder(folder);
        std::fs::write(folder.join("SHA256SUMS"), list).unwrap();
        std::fs::write(folder.join("SHA256SUMS.gpg"), self.gpg.sign("test", list, &[])).unwrap();
    }

    fn put(&self, folder: &str, releases: &[&str]) {
        for release in releases {
            std::fs::write(self.folder(folder).join(file(release)), packed(release)).unwrap();
        }
        self.list(folder, releases);
    }

    fn remove(&self, folder: &str) {
        std::fs::remove_dir_all(self.files.path().join(folder)).unwrap();
    }

    fn machine(&self, more: &str) -> Machine {
        let machine = Machine::new();
        machine.put("key.gpg", &self.gpg.export("test"));
        let url = self.nginx.url();
        let text = format!("[base]\nmirror = \"{url}/releases\"\nkeyring = \"key.gpg\"\n{more}");
        machine.put("pibake.toml", text.replace("OLD", &format!("{url}/old")).as_bytes());
        machine
    }
}

fn release_of(outcome: &Outcome) -> String {
    outcome.good()["release"].as_str().unwrap().to_owned()
}

#[test]
fn the_newest_of_a_series_is_taken_each_time() {
    let mirror = Mirror::new();
    mirror.put("releases/24.04/release", &["24.04", "24.04.9", "24.04.10"]);
    let machine = mirror.machine("");
    for name in ["24.04", "noble", "ubuntu-24.04", "Noble"] {
        let found = machine.fetch(&[name]).good();
        let all = [&found["name"], &found["release"], &found["trust"], &found["sha256"]];
        assert_eq!(all, ["24.04.10", "24.04.10", "signed", &sha256(&packed("24.04.10"))], "{name}");
    }
    // The next one comes, and the folder has it alone.
    mirror.remove("releases/24.04");
    mirror.put("releases/24.04/release", &["24.04.11"]);
    assert_eq!(release_of(&machine.fetch(&["24.04"])), "24.04.11");
    // What was baked before is still there by its own name, though its server has it no more.
    let seen = mirror.nginx.requests().len();
    assert_eq!(release_of(&machine.fetch(&["24.04.10"])), "24.04.10");
    assert_eq!(mirror.nginx.requests().len(), seen);
}

#[test]
fn the_newest_of_all_is_taken_by_two_names() {
    let mirror = Mirror::new();
    mirror.put("releases/26.04/release", &["26.04"]);
    let machine = mirror.machine("");
    for name in ["latest", "lts", "resolute", "26.04"] {
        assert_eq!(release_of(&machine.fetch(&[name])), "26.04", "{name}");
    }
}

#[test]
fn offline_the_newest_in_the_cache_is_taken_and_that_is_said() {
    let mirror = Mirror::new();
    let machine = mirror.machine("");
    machine.fetch(&["24.04", "--offline"]).bad(1, "24.04 is not in the cache");
    for release in ["24.04.1", "24.04.2"] {
        mirror.put("releases/24.04/release", &[release]);
        machine.fetch(&["24.04"]).good();
    }
    // Of the next one only the list is there.
    mirror.list("releases/24.04/release", &["24.04.3"]);
    machine.fetch(&["24.04"]).bad(1, "does not have 24.04.3");
    let seen = mirror.nginx.requests().len();
    let outcome = machine.fetch(&["24.04", "--offline"]);
    assert_eq!(release_of(&outcome), "24.04.2");
    assert!(outcome.stderr.contains("24.04.2 is the newest 24.04 in the cache"), "{}", outcome.stderr);
    assert_eq!(release_of(&machine.fetch(&["24.04.1", "--offline"])), "24.04.1");
    machine.fetch(&["22.04", "--offline"]).bad(1, "22.04 is not in the cache");
    assert_eq!(mirror.nginx.requests().len(), seen);
    // A list by anybody else proves nothing, also when it lies in the cache.
    let other = Gpg::new();
    other.key("other", "ed25519", "sign", "never", None);
    machine.put("key.gpg", &other.export("other"));
    machine.fetch(&["24.04", "--offline"]).bad(1, "24.04 is not in the cache");
}

#[test]
fn a_point_release_that_was_replaced_is_found_among_old_ones() {
    let mirror = Mirror::new();
    mirror.put("releases/24.04/release", &["24.04.5"]);
    mirror.put("old/24.04.3", &["24.04.3"]);
    let outcome = mirror.machine("old-mirror = \"OLD\"\n").fetch(&["24.04.3"]);
    let found = outcome.good();
    assert_eq!([&found["release"], &found["trust"]], ["24.04.3", "signed"]);
    assert!(
        outcome.stderr.contains(": 24.04.5 took its place; looking among old releases"),
        "{}",
        outcome.stderr
    );
    // A mirror may be of old-releases itself, or hold both.
    std::fs::rename(mirror.files.path().join("old/24.04.3"), mirror.folder("releases").join("24.04.3"))
        .unwrap();
    assert_eq!(release_of(&mirror.machine("").fetch(&["24.04.3"])), "24.04.3");
    // The newest by its own name, where the mirror has the folder of the series alone.
    let outcome = mirror.machine("").fetch(&["24.04.5"]);
    assert_eq!(release_of(&outcome), "24.04.5");
    assert!(!outcome.stderr.contains("no longer"), "{}", outcome.stderr);
    // Nowhere
    mirror.machine("old-mirror = \"OLD\"\n").fetch(&["24.04.2"]).bad(1, "24.04.5 took its place");
}

/// What is known of an image says what it must be; where it is, is asked like that of a new one.
#[test]
fn an_image_that_the_cache_lost_is_found_where_it_is_today() {
    for (way, is_given) in [("removed", false), ("damaged", false), ("removed", true)] {
        let mirror = Mirror::new();
        let machine = mirror.machine("old-mirror = \"OLD\"\n");
        mirror.put("releases/24.04/release", &["24.04.3"]);
        mirror.put("releases/24.04.3/release", &["24.04.3"]);
        assert_eq!(release_of(&machine.fetch(&["24.04.3"])), "24.04.3");
        for folder in ["releases/24.04", "releases/24.04.3"] {
            mirror.remove(folder);
        }
        mirror.put("releases/24.04/release", &["24.04.4"]);
        mirror.put("old/24.04.3", &["24.04.3"]);
        let packed = packed("24.04.3");
        let digest = sha256(&packed);
        let cached = machine.cached(&packed);
        std::fs::remove_file(&cached).unwrap();
        if way == "damaged" {
            std::fs::write(&cached, "half").unwrap();
        }
        let given = ["24.04.3", "--sha256", &digest];
        let fetched = machine.fetch(if is_given { &given } else { &given[..1] });
        assert_eq!(release_of(&fetched), "24.04.3", "{way}");
        assert!(fetched.stderr.contains("looking among old releases"), "{way}: {}", fetched.stderr);
        assert!(cached.metadata().unwrap().len() > 4, "{way}");
        let trust = if is_given { "given" } else { "signed" };
        assert_eq!(fetched.good()["trust"], trust, "{way}");
    }
}

#[test]
fn an_old_release_that_is_not_signed_is_refused_like_any_other() {
    let mirror = Mirror::new();
    mirror.put("old/24.04.3", &["24.04.3"]);
    let machine = mirror.machine("old-mirror = \"OLD\"\n");
    std::fs::remove_file(mirror.folder("old/24.04.3").join("SHA256SUMS.gpg")).unwrap();
    machine.fetch(&["24.04.3"]).bad(3, "there is no SHA256SUMS.gpg");
    machine.assert_nothing_kept();
}

/// Nobody has to vouch for a list of other images.
#[test]
fn a_mirror_without_a_release_is_not_told_as_one_that_nothing_vouches_for() {
    let mirror = Mirror::new();
    let newest = mirror.folder("releases/24.04/release");
    let machine = mirror.machine("old-mirror = \"OLD\"\n");
    mirror.put("releases/24.04/release", &["24.04.5"]);
    for signature in [Some("no signature"), None] {
        match signature {
            Some(text) => std::fs::write(newest.join("SHA256SUMS.gpg"), text).unwrap(),
            None => std::fs::remove_file(newest.join("SHA256SUMS.gpg")).unwrap(),
        }
        let outcome = machine.fetch(&["24.04.2"]);
        outcome.bad(1, "24.04.5 took its place");
        assert!(!outcome.stderr.contains("--insecure-base"), "{}", outcome.stderr);
    }
    // Nor for one that nobody can read.
    std::fs::write(newest.join("SHA256SUMS"), "to be made").unwrap();
    let outcome = machine.fetch(&["24.04.2"]);
    outcome.bad(1, "does not have 24.04.2");
    assert!(!outcome.stderr.contains("--insecure-base"), "{}", outcome.stderr);
    // Where it lies, its own list counts.
    mirror.put("old/24.04.2", &["24.04.2"]);
    assert_eq!(release_of(&machine.fetch(&["24.04.2"])), "24.04.2");
    // What lies beside the list is refused as ever, whether that names it or not.
    mirror.put("releases/24.04/release", &["24.04.5"]);
    std::fs::write(newest.join(file("24.04.4")), packed("24.04.4")).unwrap();
    machine.fetch(&["24.04.4"]).bad(3, &format!("does not list {}", file("24.04.4")));
    std::fs::remove_file(newest.join("SHA256SUMS.gpg")).unwrap();
    for release in ["24.04.4", "24.04.5"] {
        machine.fetch(&[release]).bad(3, "there is no SHA256SUMS.gpg");
    }
}

#[test]
fn what_pibake_remembers_is_taken_where_no_list_tells_the_newest() {
    let mirror = Mirror::new();
    mirror.put("releases/22.04.5/release", &["22.04.5"]);
    let outcome = mirror.machine("").fetch(&["jammy"]);
    assert_eq!(release_of(&outcome), "22.04.5");
    assert!(outcome.stderr.contains("taking 22.04.5, the newest that pibake knows of"), "{}", outcome.stderr);
    let machine = mirror.machine("");
    machine.fetch(&["24.04"]).bad(1, "does not have 24.04.");
    machine.assert_nothing_kept();
}

#[test]
fn a_series_that_does_not_exist_yet() {
    let mirror = Mirror::new();
    mirror.put("releases/24.04/release", &["24.04.5"]);
    let machine = mirror.machine("");
    machine.fetch(&["28.04"]).bad(2, "Ubuntu 28.04 is unknown to this version of pibake");
    machine.run(&["build", "--base", "28.04"]).bad(2, "set base.platform");
    assert_eq!(mirror.nginx.requests(), [""; 0]);
    // Who says what it is like gets it, once it is there.
    let machine = mirror.machine("platform = \"26.04\"\n");
    machine.fetch(&["28.04"]).bad(1, "does not have 28.04");
    machine.assert_nothing_kept();
    mirror.put("releases/28.04/release", &["28.04"]);
    assert_eq!(release_of(&machine.fetch(&["28.04"])), "28.04");
}

#[test]
fn half_a_release() {
    let mirror = Mirror::new();
    let machine = mirror.machine("");
    // The list is there before the image,
    mirror.list("releases/24.04/release", &["24.04.6"]);
    machine.fetch(&["24.04"]).bad(1, "lists it, so the server is incomplete or being updated");
    // the image before the list,
    mirror.put("releases/24.04/release", &["24.04.5"]);
    std::fs::write(mirror.folder("releases/24.04/release").join(file("24.04.6")), packed("24.04.6")).unwrap();
    assert_eq!(release_of(&machine.fetch(&["24.04"])), "24.04.5");
    // the list before its signature,
    let old = std::fs::read(mirror.folder("releases/24.04/release").join("SHA256SUMS.gpg")).unwrap();
    mirror.put("releases/24.04/release", &["24.04.6"]);
    std::fs::write(mirror.folder("releases/24.04/release").join("SHA256SUMS.gpg"), old).unwrap();
    machine.fetch(&["24.04"]).bad(3, "the list or the signature was changed");
    // and half of the image under its name.
    mirror.list("releases/24.04/release", &["24.04.6"]);
    let whole = packed("24.04.6");
    let path = mirror.folder("releases/24.04/release").join(file("24.04.6"));
    std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
    machine.fetch(&["24.04"]).bad(3, &format!("expected {}", sha256(&whole)));
    // A list that does not name it makes nothing half, whoever vouches for it.
    mirror.list("releases/24.04.4/release", &["24.04.5"]);
    for more in [&[][..], &["--insecure-base"]] {
        let outcome = machine.fetch(&[&["24.04.4"], more].concat());
        outcome.bad(1, "24.04.6 took its place");
        assert!(!outcome.stderr.contains("lists it"), "{}", outcome.stderr);
    }
    // One that lies there and is not known is taken by whoever accepts that.
    let series = mirror.folder("releases/24.04/release");
    std::fs::write(series.join(file("24.04.4")), packed("24.04.4")).unwrap();
    let found = machine.fetch(&["24.04.4", "--insecure-base"]).good();
    assert_eq!([&found["release"], &found["trust"]], ["24.04.4", "nothing"]);
}

#[test]
fn a_signed_list_without_an_image_for_pis() {
    let mirror = Mirror::new();
    mirror.list("releases/24.04/release", &[]);
    let machine = mirror.machine("");
    machine.fetch(&["24.04"]).bad(3, "lists no image of Ubuntu 24.04 for Raspberry Pis");
    machine.assert_nothing_kept();
    // one of another series is none of this one
    mirror.list("releases/24.04/release", &["22.04.5"]);
    machine.fetch(&["24.04"]).bad(3, "lists no image of Ubuntu 24.04 for Raspberry Pis");
}

#[test]
fn a_digest_of_ones_own_chooses_among_the_images_of_a_series() {
    let mirror = Mirror::new();
    mirror.put("releases/24.04/release", &["24.04.4", "24.04.5"]);
    std::fs::remove_file(mirror.folder("releases/24.04/release").join("SHA256SUMS.gpg")).unwrap();
    let machine = mirror.machine("");
    let found = machine.fetch(&["24.04", "--sha256", &sha256(&packed("24.04.4"))]).good();
    assert_eq!([&found["release"], &found["trust"]], ["24.04.4", "given"]);
    let none = sha256(b"another one");
    machine.fetch(&["24.04", "--sha256", &none]).bad(3, &format!("has the SHA-256 {none}"));
}
