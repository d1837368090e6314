//! `pibake backup`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{put_program, run as run_program, tool};

use super::{Lab, said};

/// The folder `small`, in which 2 MiB can be written.
struct Small(PathBuf);

impl Small {
    fn new(lab: &Lab) -> Self {
        let dir = lab.path("small");
        fs::create_dir(&dir).unwrap();
        run_program(
            tool("mount", "mount").args(["-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs"]).arg(&dir),
        );
        Self(dir)
    }

    fn assert_empty(&self) {
        assert_eq!(fs::read_dir(&self.0).unwrap().count(), 0, "something is left");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = tool("umount", "mount").arg(&self.0).status();
    }
}

pub fn backup() {
    let lab = Lab::new();
    lab.put_sudo();
    let snapshots = |script: &str| {
        put_program(
            &lab.path("bin/systemctl"),
            format!("#!/bin/sh\ncd /var/lib/pibake/snapshots\n{script}\n"),
        )
    };
    snapshots(
        "echo older >20261125T000000Z.tar; head -c 3000000 /dev/zero | tr '\\0' x >20261126T000000Z.tar",
    );
    let run = |arguments: &[&str]| said(&lab.pibake("1", arguments));
    let copy = copied(&lab, run(&["-q", "backup"]));
    for name in ["ca.key", "identity.toml", "host_keys"] {
        let [kept, copied] =
            [lab.path(".pibake"), copy.join("pibake")].map(|dir| fs::read(dir.join(name)).unwrap());
        assert_eq!(kept, copied, "{name}");
        assert_eq!(fs::metadata(copy.join("pibake").join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
    // Whoever keeps the description in git does not keep its secrets there.
    let git = |arguments: &[&str]| run_program(tool("git", "git").current_dir(lab.path("")).args(arguments));
    git(&["init", "--quiet"]);
    // Where it is elsewhere than in this lab.
    fs::write(lab.path(".git/info/exclude"), "/cache/\n").unwrap();
    git(&["add", "-A"]);
    let kept = git(&["ls-files"]);
    let is_secret = |file: &str| file.starts_with("backups/") || file.starts_with(".pibake");
    assert!(kept.contains("pibake.toml") && !kept.lines().any(is_secret), "{kept}");
    // Elsewhere, and once more in the same second.
    for _ in 0..2 {
        let (code, out, err) = run(&["-q", "backup", "--to", "safe/place", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&document["path"], &document["etcd_bytes"]),
            (&"safe/place/20261126T000000Z".into(), &3_000_000.into())
        );
    }
    // What does not come whole is not there.
    put_program(&lab.path("bin/cat"), "#!/bin/sh\nexec head -c 1000000 \"$1\"\n");
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(code == Some(3) && err.contains("ended in the middle"), "{code:?} {err}");
    put_program(&lab.path("bin/cat"), "#!/bin/sh\ntr x y <\"$1\"\n");
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(code == Some(3) && err.contains("is not what node-1 has"), "{code:?} {err}");
    assert_eq!(fs::read_dir(lab.path("half")).unwrap().count(), 0);
    // What has no room is not begun with.
    fs::remove_file(lab.path("bin/cat")).unwrap();
    let small = Small::new(&lab);
    let (code, _, err) = run(&["-q", "backup", "--to", "small"]);
    assert!(
        code == Some(1) && err.contains("small has ") && err.contains(" of free space"),
        "{code:?} {err}"
    );
    small.assert_empty();
    // What does not belong into .pibake is found before anything is fetched.
    let logins = lab.log(1).matches("Accepted publickey").count();
    fs::create_dir(lab.path(".pibake/fleet_numbers")).unwrap();
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(code == Some(4) && err.contains(".pibake/fleet_numbers is not a plain file"), "{code:?} {err}");
    fs::remove_dir(lab.path(".pibake/fleet_numbers")).unwrap();
    assert_eq!(lab.log(1).matches("Accepted publickey").count(), logins);
    assert_eq!(fs::read_dir(lab.path("half")).unwrap().count(), 0);
    // No copy, and why.
    snapshots("echo 'Job for pibake-snapshot.service failed' >&2; exit 1");
    let (code, _, err) = run(&["-q", "backup", "--to", "half"]);
    assert!(
        code == Some(1) && err.contains("node-1: Job for pibake-snapshot.service failed"),
        "{code:?} {err}"
    );
    put_program(&lab.path("bin/sudo"), "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n");
    let (code, _, err) = run(&["-q", "backup"]);
    assert!(code == Some(1) && err.contains("sudo: a password is required"), "{code:?} {err}");
}

/// Encrypted under the key that is on node-1's card, by gpg.
pub fn from_worker() {
    let lab = Lab::new();
    lab.put_sudo();
    fs::create_dir(lab.path("copies")).unwrap();
    fs::write(lab.path("key"), lab.baked(1, "/etc/pibake/backup.key")).unwrap();
    fs::write(lab.path("etcd.tar"), vec![b'x'; 3_000_000]).unwrap();
    let sealed = lab.path("copies/20261126T000000Z.tar.gpg");
    let mut gpg = tool("gpg", "gpg");
    gpg.args(["--batch", "--quiet", "--no-autostart", "--pinentry-mode", "loopback", "--homedir"]);
    gpg.arg(lab.path("client")).args(["--s2k-count", "65536", "--passphrase-file"]).arg(lab.path("key"));
    run_program(gpg.arg("--output").arg(&sealed).arg("--symmetric").arg(lab.path("etcd.tar")));
    // node-1, the way to the others, is dead.
    let run = |arguments: &[&str]| said(&lab.pibake("2", arguments));
    let (code, out, err) = run(&["-q", "backup", "--from", "2"]);
    assert!(code == Some(1) && out.is_empty(), "{code:?} {out} {err}");
    let copy = copied(&lab, run(&["-q", "backup", "--from", "2", "--direct"]));
    let mut names: Vec<_> = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".gitignore", "etcd.tar", "pibake"]);
    // A few bytes that are many when they are decrypted: the disk is full in the middle.
    let small = Small::new(&lab);
    let (code, _, err) = run(&["-q", "backup", "--from", "2", "--direct", "--to", "small"]);
    assert!(code == Some(1) && err.contains("No space left on device"), "{code:?} {err}");
    small.assert_empty();
    // Changed on the way to the card, and so not what .pibake's key has encrypted.
    let mut bytes = fs::read(&sealed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    let (code, _, err) = run(&["-q", "backup", "--from", "node-2", "--direct", "--to", "other"]);
    assert!(code == Some(3) && err.contains("is not a whole copy of etcd"), "{code:?} {err}");
    assert_eq!(fs::read_dir(lab.path("other")).unwrap().count(), 0);
}

/// node-1 is somebody else's by now, and calls its copy what it likes.
pub fn names() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("safe/Documents")).unwrap();
    fs::write(lab.path("safe/Documents/thesis"), "years of work").unwrap();
    fs::create_dir(lab.path("safe/20261126T131227Z")).unwrap();
    fs::write(lab.path("safe/20261126T131227Z/photos"), "of the day").unwrap();
    let backup = |heading: &str| {
        put_program(&lab.path("bin/sudo"), format!("#!/bin/sh\nprintf '%s\\nx' '{heading}'\n"));
        said(&lab.pibake("1", &["-q", "backup", "--to", "safe"]))
    };
    let long = "x".repeat(4000);
    const DIGEST: &str = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    for name in ["", "Documents", "..", "../images", "20261126T131227Z/../Documents", long.as_str()] {
        let (code, _, err) = backup(&format!("pibake-backup {name}.tar 1 {DIGEST}"));
        assert!(code == Some(3) && err.contains("has a name that no node gives"), "{name}: {code:?} {err}");
    }
    // One that has the form, and is something else's here.
    let (code, _, err) = backup(&format!("pibake-backup 20261126T131227Z.tar 1 {DIGEST}"));
    assert!(code == Some(4) && err.contains("safe/20261126T131227Z is no copy"), "{code:?} {err}");
    assert_eq!(fs::read_to_string(lab.path("safe/Documents/thesis")).unwrap(), "years of work");
    assert_eq!(fs::read_to_string(lab.path("safe/20261126T131227Z/photos")).unwrap(), "of the day");
    assert_eq!(fs::read_dir(lab.path("safe")).unwrap().count(), 2, "something is left");
    let (code, out, err) = backup(&format!("pibake-backup 20261127T000000Z.tar 1 {DIGEST}"));
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "safe/20261127T000000Z has a copy of etcd (1 bytes) and of .pibake\n"),
        "{err}"
    );
}

/// The folder of the copy that this run says it has made, with all of etcd's part in it.
fn copied(lab: &Lab, (code, out, err): (Option<i32>, String, String)) -> PathBuf {
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "backups/20261126T000000Z has a copy of etcd (3000000 bytes) and of .pibake\n"),
        "{err}"
    );
    let copy = lab.path("backups/20261126T000000Z");
    assert_eq!(fs::read(copy.join("etcd.tar")).unwrap(), vec![b'x'; 3_000_000]);
    copy
}

/// In the middle of the copy, which does not go on by itself.
pub fn ended() {
    let lab = Lab::new();
    lab.put_sudo();
    put_program(
        &lab.path("bin/systemctl"),
        "#!/bin/sh\nhead -c 3000000 /dev/zero >/var/lib/pibake/snapshots/20261126T000000Z.tar\n",
    );
    put_program(
        &lab.path("bin/cat"),
        format!(
            "#!/bin/sh\nhead -c 1000000 \"$1\"\ntouch '{}'\nexec sleep 600\n",
            lab.path("begun").display()
        ),
    );
    for signal in ["INT", "TERM"] {
        let begun = Instant::now();
        let out = lab.interrupted("1", &["-q", "backup", "--to", "kept"], "begun", signal);
        let (code, _, err) = said(&out);
        assert!(code == Some(1) && err.contains("cancelled; no copy was kept"), "{signal}: {code:?} {err}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{signal}: {:?}", begun.elapsed());
        assert_eq!(fs::read_dir(lab.path("kept")).unwrap().count(), 0, "{signal}: something is left");
    }
}
