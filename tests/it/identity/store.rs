//! The directory with the secrets: made once, whole or not at all, closed to others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pibake::cluster::{Cluster, Overrides, WRITTEN};
use pibake::identity::{Error, Identity, Store};

/// The files that an identity is not whole without.
const NEEDED: [&str; 7] = ["identity.toml", "ca.crt", "ca.key", "admin.crt", "admin.key", "token", "salt"];

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

fn cluster(text: &str) -> Cluster {
    Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

struct Home {
    dir: tempfile::TempDir,
    store: Store,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join(".pibake"));
    Home { dir, store }
}

impl Home {
    fn made() -> Self {
        let home = home();
        home.store.open(&cluster(""), now()).unwrap();
        home
    }

    fn file(&self, name: &str) -> PathBuf {
        self.store.dir().join(name)
    }

    /// What is said, without what differs from run to run.
    fn refusal(&self, description: &str, at: i64) -> String {
        let error = self.store.open(&cluster(description), at).unwrap_err();
        assert!(self.store.peek(&cluster(description), at).is_err(), "looking must be refused as well");
        error.to_string().replace(&self.dir.path().display().to_string(), "HOME")
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |e: std::io::Result<fs::DirEntry>| {
        let e = e.unwrap();
        (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())
    };
    fs::read_dir(dir).unwrap().map(entry).collect()
}

/// SECURITY.md names every file with a secret, also those that are there for a moment, by its place.
#[test]
fn each_secret_is_told_of() {
    const PUBLIC: [&str; 7] =
        [".gitignore", "admin.crt", "ca.crt", "identity.toml", "known_hosts", "ssh_config", "ssh_key.pub"];
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let home = Home::made();
    // there as long as it is lent
    let _lent = home.store.lend(&cluster(""), "https://10.0.0.1:6443", None, now()).unwrap();
    let names = contents(home.store.dir()).into_keys().chain(["admin.pem".to_owned()]);
    let secret: Vec<String> = names.filter(|name| !PUBLIC.contains(&name.as_str())).collect();
    assert_eq!(secret.len(), 10, "{secret:?}");
    for name in secret {
        assert!(page.contains(&format!("`.pibake/{name}`")), "SECURITY.md does not say what {name} is");
    }
}

#[test]
fn what_is_made_is_closed_to_others_and_stays() {
    let home = Home::made();
    assert_eq!(mode(home.store.dir()), 0o700);
    let before = contents(home.store.dir());
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            ".gitignore",
            "admin.conf",
            "admin.crt",
            "admin.key",
            "ca.crt",
            "ca.key",
            "host_keys",
            "identity.toml",
            "joining",
            "known_hosts",
            "salt",
            "ssh_config",
            "ssh_key",
            "ssh_key.pub",
            "token"
        ]
    );
    for name in names {
        assert_eq!(mode(&home.file(name)), 0o600, "{name}");
    }
    assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 1, "nothing is left beside");
    let first = home.store.open(&cluster("nodes = 4"), now()).unwrap();
    let with_a_node_more = home.store.open(&cluster("nodes = 5"), now()).unwrap();
    // Another node has something to join with, and keeps that.
    let joining = with_a_node_more.joining.clone();
    assert_ne!(joining, first.joining);
    assert_eq!(Identity { joining: first.joining.clone(), ..with_a_node_more }, first);
    // Who the nodes are follows the description.
    home.store.open(&cluster(""), now()).unwrap();
    let mut after = contents(home.store.dir());
    let mut expected = before;
    assert_ne!(after.remove("joining"), expected.remove("joining"));
    assert_eq!(after, expected);
    assert_eq!(home.store.peek(&cluster(""), now()).unwrap(), Some(Identity { joining, ..first }));
}

/// A number does not tell whom the certificate is for, and a node may have been renamed since.
#[test]
fn what_an_older_pibake_kept_by_number_is_made_again() {
    let home = Home::made();
    let by_name = fs::read_to_string(home.file("joining")).unwrap();
    let numbered = by_name.lines().zip(2..).map(|(line, number)| {
        let (_, rest) = line.split_once(' ').unwrap();
        format!("{number} {rest}\n")
    });
    let by_number: String = numbered.collect();
    fs::write(home.file("joining"), &by_number).unwrap();
    home.store.open(&cluster(""), now()).unwrap();
    let after = fs::read_to_string(home.file("joining")).unwrap();
    let word = |line: &str, at: usize| line.split(' ').nth(at).unwrap().to_owned();
    let names: Vec<String> = after.lines().map(|line| word(line, 0)).collect();
    assert_eq!(names, ["node-2", "node-3", "node-4"]);
    assert!(after.lines().zip(by_number.lines()).all(|(new, old)| word(new, 2) != word(old, 2)));
}

#[test]
fn looking_makes_nothing() {
    let home = home();
    assert_eq!(home.store.peek(&cluster(""), now()).unwrap(), None);
    assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 0);
}

#[test]
fn many_at_once_make_one() {
    let home = home();
    let identities: Vec<_> = std::thread::scope(|scope| {
        let open = || home.store.open(&cluster(""), now()).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(identities.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_others_may_read_is_refused() {
    let home = Home::made();
    chmod(home.store.dir(), 0o755);
    insta::assert_snapshot!(home.refusal("", now()), @r#"HOME/.pibake may be read or changed by others (mode 755): run chmod 700 HOME/.pibake; if somebody else may have read it, only a new cluster keeps them out: move the secrets away, build and write all cards"#);
    chmod(home.store.dir(), 0o700);
    for name in NEEDED.into_iter().chain(["ssh_key"]) {
        for bad in [0o640, 0o604, 0o620] {
            chmod(&home.file(name), bad);
            let said = home.refusal("", now());
            assert!(said.contains(&format!("chmod 600 HOME/.pibake/{name}")), "{said}");
        }
        chmod(&home.file(name), 0o600);
    }
    home.store.open(&cluster(""), now()).unwrap();
}

#[test]
fn paths_in_advice_are_safe_to_paste() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("it's $(here)");
    fs::create_dir(&odd).unwrap();
    let store = Store::new(odd.join(".pibake"));
    store.open(&cluster(""), now()).unwrap();
    chmod(store.dir(), 0o755);
    let said = store.open(&cluster(""), now()).unwrap_err().to_string();
    assert!(said.contains(r"/it'\''s $(here)/.pibake';"), "{said}");
}

#[test]
fn what_is_incomplete_is_refused_and_left_alone() {
    for name in NEEDED {
        let home = Home::made();
        fs::remove_file(home.file(name)).unwrap();
        let said = home.refusal("", now());
        assert!(said.contains(&format!("HOME/.pibake is incomplete: {name} is missing")), "{said}");
        assert!(!home.file(name).exists());
    }
    let home = home();
    fs::create_dir(home.store.dir()).unwrap();
    chmod(home.store.dir(), 0o700);
    insta::assert_snapshot!(home.refusal("", now()), @r#"HOME/.pibake is incomplete: identity.toml is missing. Put it back from a copy; or, where no card was made from it yet, remove the directory and it is created again"#);
}

#[test]
fn what_is_damaged_is_refused() {
    let mut told = Vec::new();
    for name in NEEDED.into_iter().chain(["ssh_key"]) {
        let home = Home::made();
        for damage in ["", "never shown\n"] {
            fs::write(home.file(name), damage).unwrap();
            told.push(home.refusal("", now()));
        }
        fs::write(home.file(name), b"\xff\xfe").unwrap();
        assert!(home.refusal("", now()).contains("it is not UTF-8"));
        // A list of tokens that goes on too long is not one that ends there.
        let whole = "abcdef.0123456789abcdef\n".repeat((1 << 20) / 24 + 1);
        fs::write(home.file(name), whole).unwrap();
        let said = home.refusal("", now());
        assert!(said.contains(&format!("{name} is damaged: it is larger than 1.0 MiB")), "{said}");
    }
    assert!(told.iter().all(|t| !t.contains("never shown")));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn parts_of_two_clusters_are_refused() {
    let mut told = Vec::new();
    let other = Home::made();
    for name in ["ca.crt", "ca.key", "admin.crt", "admin.key"] {
        let home = Home::made();
        fs::copy(other.file(name), home.file(name)).unwrap();
        told.push(format!("{name}: {}", home.refusal("", now())));
    }
    for pair in [["ca.crt", "ca.key"], ["admin.crt", "admin.key"]] {
        let home = Home::made();
        for name in pair {
            fs::copy(other.file(name), home.file(name)).unwrap();
        }
        told.push(format!("{pair:?}: {}", home.refusal("", now())));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_cluster_of_another_name_is_refused() {
    insta::assert_snapshot!(Home::made().refusal("name = \"attic\"", now()), @r#"HOME/.pibake belongs to the cluster "kubernetes", but the description's name is "attic": set name = "kubernetes", or move the directory away to begin a new cluster"#);
}

#[test]
fn certificates_are_for_their_time_only() {
    let home = Home::made();
    let year = 365 * 24 * 60 * 60;
    insta::assert_snapshot!(home.refusal("", now() + 11 * year), @r#"the certificates in HOME/.pibake are not valid at this time (they have expired): check this machine's clock; if it is right, move the directory away and rebuild all cards"#);
    assert!(home.refusal("", now() - year).contains("(they are not valid yet)"));
    // A clock that is a day behind the one that they were made by is still right for them.
    let home = self::home();
    for hours in [24, 1] {
        home.store.open(&cluster(""), now() + hours * 60 * 60).unwrap();
    }
}

/// Also where the CA was made while the clock was right.
#[test]
fn nothing_is_signed_by_a_clock_before_pibake_was_written() {
    let written = WRITTEN.midnight().assume_utc().unix_timestamp();
    let (home, cluster) = (home(), cluster("nodes = 2"));
    home.store.open(&cluster, written).unwrap();
    let early = written - 60;
    assert!(home.store.peek(&cluster, early).is_ok(), "looking signs nothing");
    let (store, url) = (&home.store, "https://10.0.0.1:6443");
    let refused = [
        store.open(&cluster, early).map(drop),
        store.lend(&cluster, url, None, early).map(drop),
        store.renew_admin(&cluster, "me", early),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Clock { .. })), "{refused:?}");
    }
    store.lend(&cluster, url, None, written).unwrap();
}

#[test]
fn links_and_devices_are_refused() {
    let other = Home::made();
    let home = home();
    symlink(other.store.dir(), home.store.dir()).unwrap();
    insta::assert_snapshot!(home.refusal("", now()), @r#"HOME/.pibake is not a plain directory: pibake follows no links to secrets; move it away"#);
    fs::remove_file(home.store.dir()).unwrap();
    symlink(home.dir.path().join("nowhere"), home.store.dir()).unwrap();
    assert!(home.refusal("", now()).contains("is not a plain directory"));
    fs::remove_file(home.store.dir()).unwrap();
    fs::write(home.store.dir(), "").unwrap();
    assert!(home.refusal("", now()).contains("is not a plain directory"));

    for name in NEEDED.into_iter().chain(["ssh_key"]) {
        let home = Home::made();
        fs::remove_file(home.file(name)).unwrap();
        symlink(other.file(name), home.file(name)).unwrap();
        assert!(home.refusal("", now()).contains(&format!("/{name} is not a plain file")));
        fs::remove_file(home.file(name)).unwrap();
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(home.file(name)).status().unwrap();
        assert!(made.success());
        assert!(
            home.refusal("", now()).contains(&format!("/{name} is not a plain file")),
            "a pipe must not be waited for"
        );
    }
}

#[test]
fn derived_files_are_written_over_links_not_through_them() {
    for name in ["admin.conf", "ssh_key.pub"] {
        let home = Home::made();
        let outside = home.dir.path().join("outside");
        fs::write(&outside, "untouched").unwrap();
        let _ = fs::remove_file(home.file(name));
        symlink(&outside, home.file(name)).unwrap();
        home.store.open(&cluster("[network]\nfirst-address = \"10.0.0.9\"\n"), now()).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
        assert!(!fs::symlink_metadata(home.file(name)).is_ok_and(|m| m.is_symlink()));
    }
}

#[test]
fn what_a_killed_process_left_is_cleared_away() {
    let home = home();
    let fresh = home.dir.path().join(".pibake.new");
    fs::create_dir(&fresh).unwrap();
    fs::write(fresh.join("ca.key"), "half").unwrap();
    home.store.open(&cluster(""), now()).unwrap();
    assert!(!fresh.exists());
    let half = home.file(".token.0123abcd.tmp");
    fs::write(&half, "half").unwrap();
    home.store.open(&cluster(""), now()).unwrap();
    assert!(!half.exists());

    let home = self::home();
    let outside = home.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "untouched").unwrap();
    symlink(&outside, home.dir.path().join(".pibake.new")).unwrap();
    home.store.open(&cluster(""), now()).unwrap();
    assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "untouched");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("missing/.pibake"));
    let said = store.open(&cluster(""), now()).unwrap_err().to_string();
    assert_eq!(said.replace(&dir.path().display().to_string(), "HOME"), "opening HOME/missing");
}

/// Not a test by itself: the process that the next one kills.
#[test]
#[ignore = "run by killed_at_any_moment_it_is_whole_or_not_there"]
fn makes_an_identity() {
    if let Some(dir) = std::env::var_os("PIBAKE_TEST_STORE") {
        Store::new(Path::new(&dir).join(".pibake")).open(&cluster(""), now()).unwrap();
    }
}

#[test]
fn killed_at_any_moment_it_is_whole_or_not_there() {
    let start = |home: &Home| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &support::test_name(module_path!(), "makes_an_identity")])
            .env("PIBAKE_TEST_STORE", home.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let (undisturbed, began) = (home(), Instant::now());
    assert!(start(&undisturbed).wait().unwrap().success());
    let took = began.elapsed();
    assert!(undisturbed.store.peek(&cluster(""), now()).unwrap().is_some(), "the process made no identity");
    let (mut absent, mut whole) = (0, 0);
    for round in 0..40 {
        let home = home();
        let mut child = start(&home);
        std::thread::sleep(took.mul_f64(f64::from(round) / 20.0));
        let _ = child.kill();
        child.wait().unwrap();
        if home.store.peek(&cluster(""), now()).unwrap().is_some() {
            whole += 1;
        } else {
            absent += 1;
        }
        let identity = home.store.open(&cluster(""), now()).unwrap();
        assert_eq!(home.store.peek(&cluster(""), now()).unwrap(), Some(identity));
        assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 1);
    }
    assert!(absent > 0 && whole > 0, "killed before it was there {absent} times, after {whole} times");
}
