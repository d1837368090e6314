//! What root makes for somebody else is theirs, and root takes no secrets from strangers.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Trial;

/// The user who calls sudo, and another one. Neither is in /etc/passwd.
const USER: u32 = 54_321;
const OTHER: u32 = 54_322;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("sudo: all that is made is the callers", || {
            all_that_is_made_is_the_callers();
            Ok(())
        }),
        Trial::test("sudo: a root shell works for the folders owner", || {
            a_root_shell();
            Ok(())
        }),
        Trial::test("sudo: a strangers secrets are refused", || {
            strangers();
            Ok(())
        }),
        Trial::test("sudo: links do not lead root elsewhere", || {
            links();
            Ok(())
        }),
        Trial::test("sudo: home is the callers", || {
            home_is_the_callers();
            Ok(())
        }),
        Trial::test("sudo: a folder without modes gets no secrets", || {
            no_modes();
            Ok(())
        }),
        Trial::test("sudo: a backup is the callers", || {
            backup();
            Ok(())
        }),
        Trial::test("sudo: a strangers cache is refused", || {
            strangers_cache();
            Ok(())
        }),
        Trial::test("sudo: a description of a stranger above is not taken", || {
            description_above();
            Ok(())
        }),
    ]
}

struct Home {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl Home {
    /// A folder that everybody may enter, with a copy of the program that everybody may run.
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let program = dir.path().join("pibake");
        support::run(Command::new("cp").arg(env!("CARGO_BIN_EXE_pibake")).arg(&program));
        let home = Self { dir, program };
        for (name, uid) in [("user", USER), ("other", OTHER), ("root", 0), ("lab", USER)] {
            home.folder(name, uid);
        }
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn folder(&self, name: &str, uid: u32) -> PathBuf {
        let path = self.at(name);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(uid), Some(uid)).unwrap();
        path
    }

    fn root(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.at(folder)).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.at("root")).args(arguments);
        command
    }

    fn sudo(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = self.root(folder, arguments);
        command
            .env("SUDO_UID", USER.to_string())
            .env("SUDO_GID", USER.to_string())
            .env("SUDO_USER", "someone");
        command
    }

    fn user(&self, folder: &str, arguments: &[&str]) -> Command {
        let id = USER.to_string();
        let mut command = support::tool("setpriv", "util-linux");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(&self.program).args(arguments);
        command.current_dir(self.at(folder)).env_clear().env("HOME", self.at("user"));
        command
    }
}

fn good(mut command: Command) -> Output {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

fn bad(mut command: Command, words: &str) {
    let out = command.output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && err.contains(words), "{command:?}: {words:?} is not in: {err}");
}

/// Panics unless `path` and all below it are the user's.
fn all_of(path: &Path, uid: u32) {
    let found = fs::symlink_metadata(path).unwrap();
    assert_eq!((found.uid(), found.gid()), (uid, uid), "{}", path.display());
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            all_of(&entry.unwrap().path(), uid);
        }
    }
}

const BUILD: [&str; 5] = ["build", "--base", "sample", "--nodes", "2"];

fn all_that_is_made_is_the_callers() {
    let home = Home::new();
    good(home.sudo("lab", &["init", "new/folder"]));
    let mut first = home.sudo("lab", &BUILD);
    first.args(["-o", "a/b"]).env("HOME", home.at("user"));
    good(first);
    all_of(&home.at("lab"), USER);
    all_of(&home.at("user"), USER);
    assert_eq!(fs::metadata(home.at("lab/.pibake/admin.conf")).unwrap().mode() & 0o777, 0o600);
    // The user goes on, and root again, which changes what is the user's.
    good(home.user("lab", &["build", "--base", "sample", "--nodes", "3", "-o", "a/b"]));
    let mut format = home.sudo("lab", &["build", "--base", "sample", "--nodes", "3", "--format", "zst"]);
    format.env("HOME", home.at("user"));
    fs::remove_file(home.at("lab/.pibake/admin.conf")).unwrap();
    good(format);
    all_of(&home.at("lab"), USER);
    all_of(&home.at("user"), USER);
    good(home.user("lab", &["plan", "--node", "2", "--base", "sample"]));
}

fn a_root_shell() {
    let home = Home::new();
    good(home.root("lab", &BUILD));
    all_of(&home.at("lab"), USER);
    // root's own things stay root's
    all_of(&home.at("root"), 0);
    home.folder("own", 0);
    good(home.root("own", &BUILD));
    all_of(&home.at("own"), 0);
}

fn strangers() {
    let home = Home::new();
    good(home.user("lab", &BUILD));
    // in a folder that all may write to
    let open = home.folder("open", 0);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    support::run(Command::new("cp").arg("-a").arg(home.at("lab/.pibake")).arg(&open));
    bad(home.root("open", &BUILD), "belongs to another user");
    bad(home.root("open", &["plan", "--base", "sample", "--node", "1"]), "belongs to another user");
    // sudo of the one whose they are
    good(home.sudo("open", &BUILD));
    // and of somebody else
    let mut other = home.sudo("open", &BUILD);
    bad(
        {
            other.env("SUDO_UID", OTHER.to_string());
            other
        },
        "belongs to another user",
    );
    // one file of a stranger's in it
    chown(home.at("lab/.pibake/ca.key"), Some(OTHER), Some(OTHER)).unwrap();
    bad(home.sudo("lab", &BUILD), "ca.key belongs to another user");
    chown(home.at("lab/.pibake/ca.key"), Some(USER), Some(USER)).unwrap();
    good(home.sudo("lab", &BUILD));
}

fn links() {
    let home = Home::new();
    let outside = home.folder("outside", 0);
    symlink(&outside, home.at("lab/.pibake")).unwrap();
    bad(home.sudo("lab", &BUILD), "is not a plain directory");
    fs::remove_file(home.at("lab/.pibake")).unwrap();
    symlink(&outside, home.at("lab/.pibake.new")).unwrap();
    good(home.sudo("lab", &BUILD));
    // What is brought up to date is put in the place of a link, with nothing behind it changed.
    let precious = home.at("outside/precious");
    fs::write(&precious, "root's").unwrap();
    for name in ["admin.conf", "admin.conf.new", "ssh_key.pub", "identity.toml.new"] {
        let _ = fs::remove_file(home.at(&format!("lab/.pibake/{name}")));
        symlink(&precious, home.at(&format!("lab/.pibake/{name}"))).unwrap();
        good(home.sudo("lab", &BUILD));
    }
    // A second name of root's file is not given away with the cache.
    let cache = home.at("user/.cache/pibake/images");
    let mut fetch = home.sudo("lab", &["fetch", "sample"]);
    fetch.env("HOME", home.at("user"));
    good(fetch);
    fs::hard_link(&precious, cache.join("stolen")).unwrap();
    symlink(&precious, cache.join("link")).unwrap();
    let mut fetch = home.sudo("lab", &["fetch", "sample"]);
    fetch.env("HOME", home.at("user"));
    let _ = fetch.output().unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "root's");
    assert_eq!(fs::metadata(&precious).unwrap().uid(), 0);
    assert_eq!(fs::metadata(&outside).unwrap().uid(), 0);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

/// An image in the cache is baked without being read in full, so it is nobody else's to change.
fn strangers_cache() {
    let home = Home::new();
    let cache = home.at("user/.cache/pibake");
    let fetch = |mut command: Command| {
        command.args(["fetch", "sample"]).env("HOME", home.at("user"));
        command
    };
    let user = || fetch(home.user("lab", &[]));
    good(user());
    let is_image = |p: &PathBuf| p.extension().is_some_and(|e| e == "img" || e == "json");
    let images = fs::read_dir(cache.join("images")).unwrap().map(|e| e.unwrap().path()).filter(is_image);
    let places: Vec<_> = images.chain([cache.clone(), cache.join("images"), cache.join("locks")]).collect();
    assert!(places.iter().any(|p| p.extension().is_some_and(|e| e == "img")), "{places:?}");
    let remedy = |who: u32| {
        format!(
            "belongs to another user (uid {OTHER}), who could put an image of their own there: run chown -R {who} {}",
            cache.display()
        )
    };
    for place in &places {
        if place.extension().is_some_and(|e| e == "json") {
            // one that cannot be read says nothing for the image, which is then had again
            fs::set_permissions(place, fs::Permissions::from_mode(0o644)).unwrap();
        }
        chown(place, Some(OTHER), None).unwrap();
        bad(user(), &remedy(USER));
        bad(fetch(home.sudo("lab", &[])), &remedy(USER));
        chown(place, Some(USER), None).unwrap();
        good(user());
    }
    // Root's is trusted by everybody, the caller's by root who was called with sudo, and by no other root.
    good(fetch(home.sudo("lab", &[])));
    bad(fetch(home.root("lab", &[])), &format!("belongs to another user (uid {USER})"));
    let image = places.iter().find(|p| p.extension().is_some_and(|e| e == "img")).unwrap();
    chown(image, Some(0), None).unwrap();
    good(user());
}

fn home_is_the_callers() {
    let home = Home::new();
    let key = |who: &str| {
        let path = home.at(&format!("{who}/key"));
        let mut keygen = support::tool("ssh-keygen", "openssh-client");
        support::run(
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", &format!("{who}s-own"), "-f"]).arg(path),
        );
    };
    key("user");
    key("root");
    fs::write(home.at("lab/pibake.toml"), "[access]\nssh-key-files = [\"~/key.pub\"]\n").unwrap();
    chown(home.at("lab/pibake.toml"), Some(USER), Some(USER)).unwrap();
    let plan = ["plan", "--base", "sample", "--node", "1", "/user-data"];
    // HOME is kept
    let mut kept = home.sudo("lab", &plan);
    kept.env("HOME", home.at("user"));
    assert!(String::from_utf8(good(kept).stdout).unwrap().contains("users-own"));
    // HOME is root's, and nothing says where the caller's is
    bad(home.sudo("lab", &plan), "key.pub");
    // root without sudo means its own
    assert!(String::from_utf8(good(home.root("lab", &plan)).stdout).unwrap().contains("roots-own"));
}

fn no_modes() {
    let home = Home::new();
    home.folder("own", 0);
    // A FUSE file system whose files all have one mode, as a Windows drive in WSL has them; the kernel of a
    // test machine need not know FAT.
    let (below, mount) = (home.folder("below", USER), home.at("lab"));
    let mut bindfs = support::tool("bindfs", "bindfs");
    support::run(bindfs.args(["--perms=0755", "--chmod-ignore"]).arg(&below).arg(&mount));
    let _mounted = Mounted(mount.clone());
    bad(home.root("lab", &BUILD), "keeps no file modes");
    assert_eq!(fs::read_dir(&mount).unwrap().count(), 0, "nothing was left");
    // Nor is there a use in telling anybody to change a mode there, of a description or of secrets.
    let said = |arguments: &[&str]| {
        let out = home.root("lab", arguments).output().unwrap();
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    let (done, err) = said(&["init"]);
    assert!(done && err.contains("warning: the file system of . keeps no file modes"), "{err}");
    let wifi = "[network.wifi]\nssid = \"home\"\npassword = \"correct horse\"\n";
    fs::write(mount.join("pibake.toml"), wifi).unwrap();
    let (_, err) = said(&["plan", "--base", "sample"]);
    assert!(err.contains("its file system keeps no file modes") && !err.contains("chmod"), "{err}");
    fs::remove_file(mount.join("pibake.toml")).unwrap();
    home.folder("made", 0);
    good(home.root("made", &BUILD));
    support::run(Command::new("cp").arg("-r").arg(home.at("made/.pibake")).arg(&mount));
    for arguments in [&BUILD[..], &["plan", "--base", "sample"]] {
        let (done, err) = said(arguments);
        assert!(!done && err.contains(".pibake can be read by everybody"), "{err}");
        assert!(err.contains("Linux file system") && !err.contains("chmod 700"), "{err}");
    }
    assert!(mount.join(".pibake/ca.key").exists(), "nothing is lost");
    fs::remove_dir_all(mount.join(".pibake")).unwrap();
    // Nor a copy of them; nobody is asked for one.
    good(home.root("own", &BUILD));
    let asked = put_ssh(&home);
    for to in ["../lab", "../lab/new/copies"] {
        let mut backup = home.root("own", &["backup", "--to", to]);
        backup.env("PATH", &asked.path);
        bad(backup, "keeps no file modes");
    }
    assert!(!asked.file.exists(), "a node was asked");
    assert_eq!(fs::read_dir(&mount).unwrap().count(), 0, "nothing was left");
    // Images are the user's to put where they want, and are told of.
    let out = home.root("own", &[&BUILD[..], &["-o", "../lab"]].concat()).output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success() && err.contains("warning: the file system of ../lab keeps no file modes"),
        "{err}"
    );
}

/// In the place of ssh: what node-1 answers to whoever asks for a copy of etcd.
struct Asked {
    path: std::ffi::OsString,
    /// Is there once somebody has asked.
    file: PathBuf,
}

fn put_ssh(home: &Home) -> Asked {
    let bin = home.folder("bin", 0);
    let file = home.at("asked");
    let answer = "echo \"pibake-backup 20261126T000000Z.tar 3 $(printf abc | sha256sum | cut -d ' ' -f 1)\"; printf abc";
    support::put_program(&bin.join("ssh"), format!("#!/bin/sh\ntouch '{}'\n{answer}\n", file.display()));
    let mut path = bin.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    Asked { path, file }
}

fn backup() {
    let home = Home::new();
    good(home.sudo("lab", &BUILD));
    let asked = put_ssh(&home);
    for arguments in [&["backup"][..], &["backup", "--to", "new/place"]] {
        let mut backup = home.sudo("lab", arguments);
        backup.env("PATH", &asked.path);
        good(backup);
    }
    assert!(asked.file.exists());
    all_of(&home.at("lab"), USER);
    for copy in ["backups/20261126T000000Z/etcd.tar", "new/place/20261126T000000Z/etcd.tar"] {
        let found = fs::metadata(home.at("lab").join(copy)).unwrap();
        assert_eq!((found.len(), found.mode() & 0o777), (3, 0o600), "{copy}");
    }
    // The user removes what is theirs, and puts a link in the place of the next copy: it leads root nowhere.
    let outside = home.folder("outside", 0);
    fs::remove_dir_all(home.at("lab/backups/20261126T000000Z")).unwrap();
    symlink(&outside, home.at("lab/backups/20261126T000000Z")).unwrap();
    let mut backup = home.sudo("lab", &["backup"]);
    backup.env("PATH", &asked.path);
    bad(backup, "is no copy that pibake has made");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// Unmounted when dropped, also by a test that fails.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = support::tool("umount", "mount").arg(&self.0).status();
    }
}

fn description_above() {
    let home = Home::new();
    let open = home.folder("open", OTHER);
    fs::write(open.join("pibake.toml"), "").unwrap();
    chown(open.join("pibake.toml"), Some(OTHER), Some(OTHER)).unwrap();
    home.folder("open/mine", USER);
    bad(home.user("open/mine", &["plan"]), "belongs to another user (uid 54322): name it with -C");
    bad(home.root("open/mine", &["plan"]), "belongs to another user");
    good(home.user("open/mine", &["plan", "-C", "../pibake.toml"]));
    // In a folder like /tmp, where everybody leaves things, none is looked for.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    good(home.user("open/mine", &["plan"]));
}
