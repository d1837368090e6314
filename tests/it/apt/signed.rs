//! Repositories on a server: what is fetched of them, and what is not believed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pibake::apt::{self, Layout, Pins, Repository, Universe};
use pibake::base::{Cache, Fetcher, Keyring, Ledger, Patience};
use pibake::error::{Classified, ErrorClass, one_line};
use reqwest::Url;
use support::debian::{AptRoot, deb, packages, release};
use support::gpg::{Gpg, pipe};
use support::http::{Fault, File, Server};
use support::images::put;
use support::run;

/// The folder of the suite's Release file.
const DIST: &str = "/debian/dists/testing";
const INDEX: &str = "main/binary-arm64/Packages";

/// A repository of three packages behind a server, and the key that signs it.
struct Archive {
    root: tempfile::TempDir,
    server: Server,
    gpg: Gpg,
}

impl Archive {
    fn new() -> Self {
        let gpg = Gpg::new();
        gpg.key("archive", "ed25519", "sign", "never", None);
        let archive = Self { root: tempfile::tempdir().unwrap(), server: Server::start(), gpg };
        for (name, more) in [("app", "Depends: libapp (>= 1:2), helper\n"), ("libapp", ""), ("helper", "")] {
            let version = if name == "libapp" { "1:2.0-1" } else { "1.0-1" };
            let control = format!(
                "Package: {name}\nVersion: {version}\nArchitecture: arm64\n{more}\
                 Maintainer: the tests <root@localhost>\nDescription: made up\n"
            );
            deb(&archive.path("debian/pool/main"), &control, &content_of(name));
        }
        // dpkg-deb leaves the epoch out, archives do not
        let pool = archive.path("debian/pool/main");
        fs::rename(pool.join("libapp_2.0-1_arm64.deb"), pool.join("libapp_1%3a2.0-1_arm64.deb")).unwrap();
        archive.index();
        archive.sign(&[]);
        archive.serve();
        archive
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Writes the index, packed, under its name and its digest.
    fn index(&self) {
        let text = packages(&self.path("debian"), "pool");
        let index = self.path(&format!("{DIST}/{INDEX}"));
        put(&index, &text);
        for (program, package) in [("xz", "xz-utils"), ("gzip", "gzip")] {
            run(support::tool(program, package).args(["--keep", "--force"]).arg(&index));
        }
    }

    /// A Release file with these fields beside the usual ones, which they replace.
    fn release(&self, fields: &[(&str, &str)]) -> String {
        let usual = [
            ("Origin", "test"),
            ("Suite", "testing"),
            ("Codename", "somename"),
            ("Components", "main"),
            ("Architectures", "arm64"),
            ("Acquire-By-Hash", "yes"),
        ];
        let dist = self.path(DIST);
        for file in ["InRelease", "Release", "Release.gpg"] {
            let _ = fs::remove_file(dist.join(file));
        }
        let text = release(&dist, &[&usual[..], fields].concat());
        // apt-ftparchive writes one of its own only
        let until = fields.iter().find(|(name, _)| *name == "Valid-Until");
        until.map(|(name, value)| format!("{name}: {value}\n")).unwrap_or_default() + &text
    }

    fn clearsign(&self, key: &str, text: &str) -> Vec<u8> {
        pipe(self.gpg.command().args(["--local-user", key, "--clearsign"]), text.as_bytes())
    }

    fn sign(&self, fields: &[(&str, &str)]) {
        let text = self.release(fields);
        fs::write(self.path(&format!("{DIST}/InRelease")), self.clearsign("archive", &text)).unwrap();
    }

    /// Puts all files on the server, and what is gone away.
    fn serve(&self) {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
            }
        }
        for file in ["InRelease", "Release", "Release.gpg"] {
            self.server.remove(&format!("{DIST}/{file}"));
        }
        let mut files = Vec::new();
        walk(&self.path("debian"), &mut files);
        for file in files {
            let path = file.strip_prefix(self.root.path()).unwrap().to_str().unwrap();
            // a `%` in a file's name is one in an address only when it is escaped
            self.server.put(&format!("/{}", path.replace('%', "%25")), File::new(&fs::read(&file).unwrap()));
        }
    }

    fn repository(&self) -> Repository {
        Repository {
            url: Url::parse(&self.server.url("/debian")).unwrap(),
            layout: Layout::Suite { name: "testing".to_owned(), components: vec!["main".to_owned()] },
            keyring: Keyring::parse(&self.gpg.export("archive")).unwrap(),
        }
    }

    /// Whether apt-get itself takes it.
    fn apt_takes_it(&self) -> bool {
        let key = self.path("key.gpg");
        fs::write(&key, self.gpg.export("archive")).unwrap();
        let url = self.server.url("/debian");
        let apt =
            AptRoot::new("arm64", "", &format!("deb [signed-by={}] {url} testing main\n", key.display()), "");
        apt.update().status.success()
    }
}

/// A cache of its own, and the patience of a test.
struct Client {
    dir: tempfile::TempDir,
    cache: Cache,
    ledger: Ledger,
}

impl Client {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("cache")).unwrap();
        Self { dir, cache, ledger: Ledger::default() }
    }

    fn fetcher(&self, offline: bool) -> Fetcher<'_> {
        let patience = Patience { attempts: 3, stall: Duration::from_secs(10) };
        Fetcher { offline, patience, ..Fetcher::new(&self.cache, &self.ledger) }
    }

    fn packages(&self, archive: &Archive) -> Result<Universe, apt::Error> {
        apt::lists(&self.fetcher(false), &[archive.repository()], "arm64")?.universe()
    }

    /// How many files are in the cache, but for repositories' own lists.
    fn kept(&self) -> usize {
        let files = fs::read_dir(self.dir.path().join("cache/files")).unwrap();
        let content = files.map(|file| fs::read(file.unwrap().path()).unwrap());
        let is_list =
            |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).lines().any(|line| line.trim_end() == "SHA256:");
        content.filter(|bytes| !is_list(bytes)).count()
    }
}

/// What the package `name` has in it.
fn content_of(name: &str) -> String {
    hex::encode(support::noise::bytes(name.len() as u64, 20_000))
}

fn content(path: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    run(support::tool("dpkg-deb", "dpkg").arg("--extract").arg(path).arg(out.path()));
    fs::read_to_string(out.path().join("usr/share/content")).unwrap()
}

#[test]
fn what_a_package_needs_is_fetched_once_and_found_offline_then() {
    let archive = Archive::new();
    assert!(archive.apt_takes_it());
    let client = Client::new();
    let asked = archive.server.all_seen().len();
    for offline in [false, false, true] {
        let fetcher = client.fetcher(offline);
        let lists = apt::lists(&fetcher, &[archive.repository()], "arm64").unwrap();
        let mut universe = lists.universe().unwrap();
        universe.add_status(&b""[..]).unwrap();
        let plan = universe.resolve(&["app"], &Pins::none()).unwrap();
        let names: Vec<&str> = plan.install.iter().map(|package| package.package.as_str()).collect();
        assert_eq!(names, ["app", "helper", "libapp"]);
        let files = apt::files(&fetcher, &plan).unwrap();
        for (name, file) in names.iter().zip(&files) {
            assert_eq!(content(file), content_of(name));
        }
    }
    // InRelease twice; the index, for which by-hash was asked first, and the packages once
    assert_eq!(archive.server.all_seen().len() - asked, 2 + 2 + 3, "{:?}", archive.server.all_seen());
    assert_eq!(client.kept(), 4);
}

#[test]
fn files_by_their_digests_are_preferred_and_signatures_may_be_apart() {
    let archive = Archive::new();
    let dist = archive.path(DIST);
    let xz = fs::read(dist.join(format!("{INDEX}.xz"))).unwrap();
    let by_hash = format!("main/binary-arm64/by-hash/SHA256/{}", support::fetching::sha256(&xz));
    fs::create_dir_all(dist.join(&by_hash).parent().unwrap()).unwrap();
    fs::rename(dist.join(format!("{INDEX}.xz")), dist.join(&by_hash)).unwrap();
    let text = fs::read_to_string(dist.join("InRelease")).unwrap();
    // what was signed: behind the header, before the signature
    let text = text.split_once("\n\n").unwrap().1.split_once("-----BEGIN").unwrap().0.to_owned();
    fs::remove_file(dist.join("InRelease")).unwrap();
    put(&dist.join("Release"), &text);
    fs::write(dist.join("Release.gpg"), archive.gpg.sign("archive", text.as_bytes(), &["--armor"])).unwrap();
    archive.server.remove(&format!("{DIST}/{INDEX}.xz"));
    archive.serve();
    assert!(archive.apt_takes_it());
    let client = Client::new();
    client.packages(&archive).unwrap().resolve(&["app"], &Pins::none()).unwrap();
    apt::lists(&client.fetcher(true), &[archive.repository()], "arm64").unwrap().universe().unwrap();
}

#[test]
fn repositories_without_suites_are_read() {
    let archive = Archive::new();
    let folder = archive.path("debian");
    fs::rename(folder.join("pool"), folder.join("arm64")).unwrap();
    fs::remove_dir_all(folder.join("dists")).unwrap();
    put(&folder.join("Packages"), &packages(&folder, "arm64"));
    let text = release(&folder, &[("Origin", "flat")]);
    fs::write(folder.join("InRelease"), archive.clearsign("archive", &text)).unwrap();
    archive.serve();
    let repository = Repository { layout: Layout::Flat, ..archive.repository() };
    let client = Client::new();
    let universe = apt::lists(&client.fetcher(false), &[repository], "arm64").unwrap().universe().unwrap();
    let plan = universe.resolve(&["app"], &Pins::none()).unwrap();
    assert_eq!(apt::files(&client.fetcher(false), &plan).unwrap().len(), 3);
}

/// What is done to an archive, what is said of it then, and of what class the error is.
type Damage = (&'static str, fn(&Archive), ErrorClass, &'static str);

fn change(archive: &Archive, file: &str, change: impl FnOnce(String) -> String) {
    let path = archive.path(&format!("{DIST}/{file}"));
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
}

const DAMAGES: [Damage; 15] = [
    (
        "forged",
        |archive| change(archive, "InRelease", |text| text.replace("Origin: test", "Origin: evil")),
        ErrorClass::Verification,
        "it is not a signature of these bytes",
    ),
    (
        "something before what is signed",
        |archive| change(archive, "InRelease", |text| format!("Origin: evil\n\n{text}")),
        ErrorClass::Verification,
        "checking the signature of",
    ),
    (
        "something behind what is signed",
        |archive| change(archive, "InRelease", |text| format!("{text}\nOrigin: evil\n")),
        ErrorClass::Verification,
        "checking the signature of",
    ),
    (
        "cut off",
        |archive| change(archive, "InRelease", |text| text[..text.len() / 2].to_owned()),
        ErrorClass::Verification,
        "checking the signature of",
    ),
    (
        "signed by somebody else",
        |archive| {
            archive.gpg.key("other", "ed25519", "sign", "never", None);
            let text = archive.release(&[]);
            let signed = archive.clearsign("other", &text);
            fs::write(archive.path(&format!("{DIST}/InRelease")), signed).unwrap();
        },
        ErrorClass::Verification,
        "none of the accepted keys",
    ),
    (
        "not signed",
        |archive| put(&archive.path(&format!("{DIST}/Release")), &archive.release(&[])),
        ErrorClass::Verification,
        "is not signed: there is a Release, but no InRelease and no Release.gpg",
    ),
    (
        "expired",
        |archive| archive.sign(&[("Valid-Until", "Sat, 10 May 2025 09:38:26 UTC")]),
        ErrorClass::Verification,
        "days ago (Sat, 10 May 2025 09:38:26 UTC)",
    ),
    (
        "from the future",
        |archive| archive.sign(&[("Date", "Sat, 10 May 2098 09:38:26 UTC")]),
        ErrorClass::Verification,
        "in the future",
    ),
    (
        "another suite",
        |archive| archive.sign(&[("Suite", "stable"), ("Codename", "bookworm")]),
        ErrorClass::Verification,
        "asked for the suite testing, but the Release file is for suite \"stable\", codename \"bookworm\"",
    ),
    ("not there", |archive| drop(archive.release(&[])), ErrorClass::Network, "there is no repository at"),
    (
        "a login page",
        |archive| {
            change(archive, "InRelease", |_| "<!DOCTYPE html><html><body>log in</body></html>".to_owned())
        },
        ErrorClass::Verification,
        "answered with a web page instead of a repository's Release file",
    ),
    (
        "endless",
        |archive| change(archive, "InRelease", |text| text + &"\n".repeat(2 << 20)),
        ErrorClass::Verification,
        "is larger than 1048576 bytes",
    ),
    (
        "an index that was changed",
        |archive| {
            let path = archive.path(&format!("{DIST}/{INDEX}.xz"));
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        ErrorClass::Verification,
        "Packages.xz is not what it should be",
    ),
    (
        "an index that is longer than it is listed",
        |archive| {
            let path = archive.path(&format!("{DIST}/{INDEX}.xz"));
            let bytes = fs::read(&path).unwrap();
            fs::write(path, bytes.repeat(2)).unwrap();
        },
        ErrorClass::Verification,
        "the most that it may have",
    ),
    (
        "an index with nonsense in it",
        |archive| {
            let text = "Package: app\nVersion: 1\nArchitecture: arm64\nDepends: a (is 1)\n";
            let index = archive.path(&format!("{DIST}/{INDEX}"));
            put(&index, text);
            run(support::tool("xz", "xz-utils").args(["--keep", "--force"]).arg(&index));
            archive.sign(&[]);
        },
        ErrorClass::Damaged,
        "in the stanza at line 1: reading Depends: \"a (is 1)\": the version has no operator",
    ),
];

#[test]
fn what_is_damaged_or_forged_is_refused_with_its_reason() {
    let archive = Archive::new();
    for (what, damage, class, expected) in DAMAGES {
        archive.index();
        archive.sign(&[]);
        damage(&archive);
        archive.serve();
        let client = Client::new();
        let error = client.packages(&archive).err().unwrap_or_else(|| panic!("{what}: accepted"));
        let text = one_line(&error);
        assert!(text.contains(expected), "{what}: {text}");
        assert_eq!(error.class(), class, "{what}: {text}");
        // nothing of it is left; of nonsense that was signed, the file that has it
        assert_eq!(client.kept(), usize::from(class == ErrorClass::Damaged), "{what}");
        // apt reads an index only when it is asked for packages, has more patience with empty lines, and takes
        // whatever suite a server has in the folder
        if class != ErrorClass::Damaged && !["endless", "another suite"].contains(&what) {
            assert!(!archive.apt_takes_it(), "{what}: apt takes it");
        }
    }
}

#[test]
fn an_older_release_is_not_taken_for_a_newer_one() {
    let archive = Archive::new();
    let dist = archive.path(DIST);
    let old = fs::read(dist.join("InRelease")).unwrap();
    let client = Client::new();
    client.packages(&archive).unwrap();
    // dates have seconds
    let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(5)).replace("GMT", "UTC");
    archive.sign(&[("Date", &later)]);
    archive.serve();
    client.packages(&archive).unwrap();
    fs::write(dist.join("InRelease"), old).unwrap();
    archive.serve();
    let error = client.packages(&archive).err().unwrap();
    assert!(one_line(&error).contains("is older than one that came before"), "{}", one_line(&error));
    // who never saw the newer one cannot know
    Client::new().packages(&archive).unwrap();
}

#[test]
fn packages_that_are_not_what_was_promised_are_refused() {
    let archive = Archive::new();
    let client = Client::new();
    let universe = client.packages(&archive).unwrap();
    let plan = universe.resolve(&["helper"], &Pins::none()).unwrap();
    let path = plan.install[0].url.path().to_owned();
    let good = fs::read(archive.path(&path)).unwrap();
    let get = || apt::files(&client.fetcher(false), &plan);
    let last = good.len() - 1;
    let changed = [&good[..last], &[good[last] ^ 1]].concat();
    for (bytes, expected) in [
        (changed, "is not what it should be"),
        (good[..last].to_vec(), "is not what it should be"),
        (good.repeat(2), "the most that it may have"),
        (b"<html><body>log in</body></html>".to_vec(), "answered with a web page"),
    ] {
        archive.server.put(&path, File::new(&bytes));
        let error = get().unwrap_err();
        assert!(one_line(&error).contains(expected), "{}", one_line(&error));
        assert_eq!(error.class(), ErrorClass::Verification);
    }
    archive.server.remove(&path);
    assert_eq!(get().unwrap_err().class(), ErrorClass::Network);
    assert_eq!(client.kept(), 1, "only the index is kept");

    // cut off, then resumed
    archive.server.put(&path, File::new(&good));
    archive.server.fail(&path, &[Fault::Cut(5000), Fault::Refuse]);
    let files = get().unwrap();
    assert_eq!(fs::read(&files[0]).unwrap(), good);
    assert!(archive.server.seen(&path).iter().any(|seen| seen.range().0 == Some("bytes=5000-")));

    // damaged in the cache: fetched again
    fs::remove_file(&files[0]).unwrap();
    fs::write(&files[0], &good[..last]).unwrap();
    assert!(apt::files(&client.fetcher(true), &plan).is_err());
    assert_eq!(fs::read(&get().unwrap()[0]).unwrap(), good);
}

#[test]
fn several_files_are_fetched_at_once_and_one_failure_ends_all() {
    let archive = Archive::new();
    let client = Client::new();
    let plan = client.packages(&archive).unwrap().resolve(&["app"], &Pins::none()).unwrap();
    let path = plan.install[2].url.path().to_owned();
    archive.server.put(&path, File::new(b"something else"));
    // while the first waits for bytes that do not come, the last one fails
    archive.server.fail(plan.install[0].url.path(), &[Fault::Stall(5000)]);
    let begin = std::time::Instant::now();
    let error = apt::files(&client.fetcher(false), &plan).unwrap_err();
    assert!(one_line(&error).contains("is not what it should be"), "{}", one_line(&error));
    assert!(begin.elapsed() < Duration::from_secs(8), "it waited for the others");
}
