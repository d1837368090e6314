//! What happens to the cache behind pibake's back.

use std::fs::{File as OsFile, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use support::fetching::{Machine, Outcome, image, sha256, xz};
use support::http::{File, Server};

const PATH: &str = "/some.img.xz";

/// An image that was fetched and lies in the cache.
struct Case {
    server: Server,
    machine: Machine,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Case {
    fn new(seed: u8) -> Self {
        let raw = image(seed);
        let case = Self { server: Server::start(), machine: Machine::new(), packed: xz(&raw), raw };
        case.server.put(PATH, File::new(&case.packed));
        case.fetch(&[]).good();
        case
    }

    fn fetch(&self, options: &[&str]) -> Outcome {
        let (url, digest) = (self.server.url(PATH), sha256(&self.packed));
        self.machine.fetch(&[&[&*url, "--sha256", &digest], options].concat())
    }

    fn downloads(&self) -> usize {
        self.server.seen(PATH).len()
    }

    /// Changes the cached image and leaves its time as it was, as a failing disk does.
    fn rot(&self, change: impl FnOnce(&OsFile)) {
        let path = self.machine.cached(&self.packed);
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let file = writable(&path);
        change(&file);
        file.set_modified(modified).unwrap();
    }

    /// Has the entry vouch for the file as it is now: as if a failing disk had changed it, which moves
    /// no time.
    fn vouch(&self) {
        let image = self.machine.cached(&self.packed);
        let found = std::fs::metadata(&image).unwrap();
        let path = image.with_extension("json");
        let mut entry: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        entry["stamp"]["changed"] = serde_json::json!([found.ctime(), found.ctime_nsec()]);
        std::fs::write(&path, serde_json::to_vec(&entry).unwrap()).unwrap();
    }

    /// Panics unless a fetch finds the damage, says so and gets the image again.
    fn repaired(&self, options: &[&str], said: &str) {
        let before = self.downloads();
        let outcome = self.fetch(options);
        outcome.good();
        assert!(outcome.stderr.contains(said), "{said:?} is not in: {}", outcome.stderr);
        assert_eq!(self.downloads(), before + 1);
        self.machine.assert_cached(&self.packed, &self.raw);
    }
}

fn writable(path: &Path) -> OsFile {
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
    file
}

#[test]
fn an_image_that_was_cut_off() {
    let case = Case::new(110);
    case.rot(|file| file.set_len(1 << 20).unwrap());
    case.repaired(&[], "is damaged (it has 1048576 bytes instead of 2097152)");
}

#[test]
fn an_image_that_was_written_to() {
    let case = Case::new(111);
    writable(&case.machine.cached(&case.packed)).write_all_at(b"x", 700_000).unwrap();
    case.repaired(&[], "was touched since it was verified: reading it in full");
}

#[test]
fn a_bit_that_flipped_on_the_disk() {
    let case = Case::new(112);
    let flip = |at: u64| {
        let byte = case.raw[usize::try_from(at).unwrap()] ^ 4;
        case.rot(|file| file.write_all_at(&[byte], at).unwrap());
    };
    // in noise, in a hole, in the last block
    for at in [500_000, 1_900_000, (2 << 20) - 1] {
        // whoever changes it and puts the time back is found out by the time of change
        flip(at);
        case.repaired(&[], "its content is not what was written");
        flip(at);
        case.vouch();
        // size, times and inode are what is looked at each time; who wants to know has all of it read
        let before = case.downloads();
        assert_eq!(case.fetch(&[]).good()["checked"], "unchanged");
        assert_eq!(case.downloads(), before);
        case.repaired(&["--check"], "its content is not what was written");
    }
    // without the network the damaged one is gone all the same
    flip(500_000);
    case.fetch(&["--check", "--offline"]).bad(1, "is not in the cache");
    assert!(!case.machine.cached(&case.packed).exists());
    case.fetch(&["--offline"]).bad(1, "is not in the cache");
}

#[test]
fn a_sound_image_passes_the_thorough_check() {
    let case = Case::new(113);
    let outcome = case.fetch(&["--check"]);
    assert_eq!(outcome.good()["checked"], "content");
    assert!(outcome.stderr.contains("checking the cached image: done"), "{}", outcome.stderr);
    assert_eq!(case.downloads(), 1);
    // also where a backup program has filled its holes
    let path = case.machine.cached(&case.packed);
    case.rot(|file| file.write_all_at(&case.raw, 0).unwrap());
    case.fetch(&["--check", "--offline"]).good();
    assert!(std::fs::read(path).unwrap() == case.raw);
}

#[test]
fn a_sound_image_that_was_touched_is_read_once() {
    let case = Case::new(117);
    // copied back by a backup program, say
    let path = case.machine.cached(&case.packed);
    std::fs::copy(&path, path.with_extension("copy")).unwrap();
    std::fs::rename(path.with_extension("copy"), &path).unwrap();
    for checked in ["content", "unchanged"] {
        let outcome = case.fetch(&[]);
        assert_eq!(outcome.good()["checked"], checked);
        assert_eq!(outcome.stderr.contains("reading it in full"), checked == "content", "{}", outcome.stderr);
    }
    assert_eq!(case.downloads(), 1);
}

#[test]
fn what_others_can_write_to_is_not_used() {
    let case = Case::new(118);
    let image = case.machine.cached(&case.packed);
    let cache = case.machine.cache();
    let folders = ["", "images", "downloads", "evidence", "notes", "locks"].map(|name| cache.join(name));
    for path in folders.iter().chain([&image, &image.with_extension("json")]) {
        let mode = std::fs::metadata(path).unwrap().mode() & 0o777;
        for wide in [0o020, 0o002] {
            std::fs::set_permissions(path, Permissions::from_mode(mode | wide)).unwrap();
            case.fetch(&[]).bad(4, &format!("run chmod -R go-w {}", cache.display()));
        }
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        case.fetch(&[]).good();
    }
    assert_eq!(case.downloads(), 1);
}

#[test]
fn what_vouches_for_an_image_is_gone_or_nonsense() {
    let case = Case::new(114);
    let entry = case.machine.cached(&case.packed).with_extension("json");
    let good = std::fs::read_to_string(&entry).unwrap();
    let other = good.replace(&sha256(&case.packed), &sha256(b"another"));
    let newer = good.replace("\"version\": 2", "\"version\": 3");
    assert!(newer != good && other != good);
    for bad in ["", "{", "null", &good[..good.len() / 2], &other, &newer] {
        std::fs::write(&entry, bad).unwrap();
        case.repaired(&[], "downloading");
    }
    std::fs::remove_file(&entry).unwrap();
    case.repaired(&[], "downloading");
    std::fs::remove_file(case.machine.cached(&case.packed)).unwrap();
    case.repaired(&[], "downloading");
}

#[test]
fn a_list_that_was_changed_in_the_cache_convinces_nobody() {
    let (server, machine, gpg) = (Server::start(), Machine::new(), support::gpg::Gpg::new());
    gpg.key("test", "ed25519", "sign", "never", None);
    let raw = image(115);
    let packed = xz(&raw);
    let list = support::fetching::sums(&[("some.img.xz", &packed)]);
    server.put(PATH, File::new(&packed));
    server.put("/SHA256SUMS", File::new(&list));
    server.put("/SHA256SUMS.gpg", File::new(&gpg.sign("test", &list, &[])));
    machine.put("key.gpg", &gpg.export("test"));
    machine.put("pibake.toml", b"[base]\nkeyring = \"key.gpg\"\n");
    let url = server.url(PATH);
    machine.fetch(&[&url]).good();
    machine.fetch(&[&url, "--offline"]).good();
    let evidence = machine.cache().join("evidence");
    let name = machine.names("evidence").into_iter().find(|n| n.ends_with(".sums")).unwrap();
    std::fs::write(evidence.join(&name), support::fetching::sums(&[("some.img.xz", b"another")])).unwrap();
    machine.fetch(&[&url, "--offline"]).bad(1, "is not in the cache");
    machine.fetch(&[&url]).good();
    machine.fetch(&[&url, "--offline"]).good();
    assert_eq!(server.seen(PATH).len(), 1, "the image itself was there all the time");
}

#[test]
fn what_ended_processes_left_is_cleared_away() {
    let case = Case::new(116);
    let (images, downloads) = (case.machine.cache().join("images"), case.machine.cache().join("downloads"));
    let old = SystemTime::now() - Duration::from_secs(15 * 24 * 60 * 60);
    let make = |path: &Path, old_enough: bool| {
        let file = OsFile::create(path).unwrap();
        if old_enough {
            file.set_modified(old).unwrap();
        }
    };
    make(&images.join(format!("{}.img", sha256(b"unvouched"))), false);
    make(&images.join(".abandoned.img.0123abcd.tmp"), false);
    make(&images.join(".abandoned.json.0123abcd.tmp"), true);
    make(&downloads.join("url-old.part"), true);
    make(&downloads.join("url-old.part.json"), true);
    make(&downloads.join("url-young.part"), false);
    // somebody writes this one
    let busy = images.join(".busy.img.0123abcd.tmp");
    let lock = OsFile::create(&busy).unwrap();
    lock.lock().unwrap();
    case.fetch(&[]).good();
    let digest = sha256(&case.packed);
    let mut kept = [".busy.img.0123abcd.tmp".to_owned(), format!("{digest}.img"), format!("{digest}.json")];
    kept.sort();
    assert_eq!(case.machine.names("images"), kept);
    assert_eq!(case.machine.names("downloads"), ["url-young.part"]);
    drop(lock);
    case.fetch(&[]).good();
    assert!(!busy.exists());
}

#[test]
fn there_is_no_place_for_a_cache() {
    let machine = Machine::new();
    let file = machine.put("file", b"x");
    let run = |xdg: Option<&str>, home: Option<&str>| {
        let mut command = machine.command(&["fetch", "sample"]);
        for (name, value) in [("XDG_CACHE_HOME", xdg), ("HOME", home)] {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Outcome::of(command.output().unwrap())
    };
    run(Some(&file), None).bad(1, "XDG_CACHE_HOME says where");
    run(None, None).bad(2, "set XDG_CACHE_HOME or HOME");
    // the XDG rules: what is not absolute does not count
    run(Some("relative"), None).bad(2, "set XDG_CACHE_HOME or HOME");
    let home = machine.path().to_str().unwrap();
    run(Some("relative"), Some(home)).code_is(0);
    assert!(machine.path().join(".cache/pibake/CACHEDIR.TAG").exists());
    assert!(!machine.path().join("relative").exists());
}
