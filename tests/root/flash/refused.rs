//! Drives that are never written, and how one is asked.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::Failed;

use super::work::{CARD, MIB, Work, assert_same, failed, said, succeeded};
use crate::loops::{Drive, Loop};
use support::{run, tool};

pub fn in_use() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", 64 * MIB, 512);
    let refused = |words: &str| {
        let before = std::fs::read(&card.file).unwrap();
        failed(&work.flash(&[&card], &[card.name(), "--base", "sample", "--node", "1"]), 4, words);
        assert!(std::fs::read(&card.file).unwrap() == before, "it was written to: {words}");
        let listed = work.run(&["drives"], "");
        succeeded(&listed);
        String::from_utf8_lossy(&listed.stdout).into_owned()
    };

    // a file system is mounted
    run(tool("mkfs.ext4", "e2fsprogs").arg("-qF").arg(card.device()));
    let at = work.path().join("mounted");
    std::fs::create_dir(&at)?;
    run(tool("mount", "mount").arg(card.device()).arg(&at));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused("mounted on")));
    run(tool("umount", "mount").arg(&at));
    let listed = listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(listed.lines().any(|l| l.starts_with(card.name()) && l.contains("no: mounted on")), "{listed}");

    // memory is swapped to it
    run(tool("mkswap", "util-linux").arg(card.device()));
    run(tool("swapon", "mount").arg(card.device()));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused("swap")));
    run(tool("swapoff", "mount").arg(card.device()));
    listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));

    // another process holds it
    let exclusive = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::EXCL.bits().cast_signed())
        .open(card.device())?;
    refused("is held by another program");
    drop(exclusive);

    // another process writes to it
    let writing = OpenOptions::new().write(true).open(card.device())?;
    refused("open in");
    drop(writing);

    // a loop device lies on it
    let above = run(tool("losetup", "mount").args(["--find", "--show"]).arg(card.device()));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused("held by loop")));
    run(tool("losetup", "mount").arg("--detach").arg(above.trim()));
    listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));

    // pibake's own things lie on it
    run(tool("mkfs.ext4", "e2fsprogs").arg("-qF").arg(card.device()));
    run(tool("mount", "mount").arg(card.device()).arg(&at));
    let out = work
        .command(&["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"])
        .env("XDG_CACHE_HOME", &at)
        .output();
    run(tool("umount", "mount").arg(&at));
    failed(&out?, 4, "holds pibake's cache");
    Ok(())
}

/// What lies on a part of a drive, or on several: found by the numbers of the devices.
pub fn in_use_below() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::with(work.path(), "card", 300 * MIB, &["--partscan"]);
    let other = Loop::new(work.path(), "other", 300 * MIB, 512);
    let node = [card.name(), "--base", "sample", "--node", "1"];
    // A mounted file system goes on writing for a while.
    let made = ["-qF", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
    let refused = |card: &Loop, words: &str| {
        run(&mut tool("sync", "coreutils"));
        let before = std::fs::read(&card.file).unwrap();
        failed(&work.flash(&[card], &[&[card.name()], &node[1..]].concat()), 4, words);
        assert!(std::fs::read(&card.file).unwrap() == before, "it was written to: {words}");
    };
    let at = work.path().join("mounted");
    std::fs::create_dir(&at)?;
    let table = work.path().join("table");
    std::fs::write(&table, "label: dos\nsize=100MiB\nsize=100MiB\n")?;
    run(tool("sfdisk", "fdisk").arg("-q").arg(card.device()).stdin(File::open(&table)?));
    let parts = [1, 2].map(|n| format!("{}p{n}", card.name()));
    if !Path::new(&parts[1]).exists() {
        // not every kernel reads tables by itself
        run(tool("partx", "util-linux").arg("--add").arg(card.device()));
    }

    // in a partition: a file system, and what memory is swapped to
    run(tool("mkfs.ext4", "e2fsprogs").args(made).arg(&parts[1]));
    let mounted = Mounted::new(&parts[1], &at);
    refused(&card, &format!("mounted on {} ({})", at.display(), parts[1].trim_start_matches("/dev/")));
    drop(mounted);
    run(tool("mkswap", "util-linux").arg(&parts[0]));
    run(tool("swapon", "mount").arg(&parts[0]));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused(&card, "swap (")));
    run(tool("swapoff", "mount").arg(&parts[0]));
    listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    failed(&work.flash(&[&card], &[&[&parts[0][..]], &node[1..]].concat()), 4, "is a partition");

    // one file system on two drives: the table of mounts names one of them
    run(tool("mkfs.btrfs", "btrfs-progs").arg("-qf").args([card.device(), other.device()]));
    let mounted = Mounted::new(card.name(), &at);
    refused(&card, &format!("mounted on {}", at.display()));
    refused(&other, &format!("mounted on {}", at.display()));
    drop(mounted);

    // mounted where only others see it: nobody says so, but the kernel holds it
    run(tool("mkfs.ext4", "e2fsprogs").args(made).arg(card.device()));
    let mut elsewhere = tool("unshare", "util-linux")
        .args(["--mount", "sh", "-ec", "mount \"$0\" \"$1\"; echo there; read -r end", card.name()])
        .arg(&at)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = [0; 6];
    elsewhere.stdout.take().ok_or("no stdout")?.read_exact(&mut said)?;
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        refused(&card, "is held by another program")
    }));
    drop(elsewhere.stdin.take());
    elsewhere.wait()?;
    tried.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok(())
}

/// Who may not write to the drive is told what to type.
pub fn no_permission() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", 64 * MIB, 512);
    let found = std::fs::metadata(card.device())?;
    std::fs::set_permissions(work.path(), Permissions::from_mode(0o777))?;
    let program = work.path().join("pibake");
    run(Command::new("cp").arg(env!("CARGO_BIN_EXE_pibake")).arg(&program));
    let flash = || -> std::io::Result<Output> {
        let mut command = tool("setpriv", "util-linux");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"]);
        command.current_dir(work.path()).env("XDG_CACHE_HOME", work.path().join("cache"));
        // a desktop would ask
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere").output()
    };
    // who may write to it otherwise, the desktop's user or a group, is no matter: root always may
    for mode in [0o660, 0o600] {
        std::os::unix::fs::chown(card.device(), Some(0), Some(group("disk")))?;
        std::fs::set_permissions(card.device(), Permissions::from_mode(mode))?;
        let typed =
            format!("type: sudo --preserve-env=XDG_CACHE_HOME {} flash --allow-fixed", program.display());
        failed(&flash()?, 1, &typed);
    }
    std::os::unix::fs::chown(card.device(), Some(found.uid()), Some(found.gid()))?;
    std::fs::set_permissions(card.device(), found.permissions())?;
    assert!(card.is_as_before());
    Ok(())
}

fn group(name: &str) -> u32 {
    let found = run(tool("getent", "libc-bin").args(["group", name]));
    found.split(':').nth(2).and_then(|id| id.parse().ok()).unwrap()
}

/// A mounted device, unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(device: &str, at: &Path) -> Self {
        run(tool("mount", "mount").arg(device).arg(at));
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = tool("umount", "mount").arg(&self.0).status();
    }
}

/// A folder in which a desktop mounts, removed when dropped.
struct Media(PathBuf);

impl Media {
    fn new() -> Self {
        let at = PathBuf::from(format!("/media/pibake-test-{}", std::process::id()));
        std::fs::create_dir_all(&at).unwrap();
        Self(at)
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        let _ = tool("umount", "mount").arg(&self.0).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

pub fn unmounted() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", CARD, 512);
    run(tool("mkfs.ext4", "e2fsprogs").arg("-qF").arg(card.device()));
    let media = Media::new();
    run(tool("mount", "mount").arg(card.device()).arg(&media.0));
    let node = [card.name(), "--base", "sample", "--node", "1"];
    failed(&work.flash(&[&card], &node), 4, "(--unmount unmounts it)");
    // from what would not be written all the same nothing is unmounted
    let flags = ["flash", "--unmount"];
    failed(&work.run(&[&flags[..], &node].concat(), ""), 4, "only with --allow-fixed");
    let flags = ["flash", "--unmount", "--allow-fixed", "--yes"];
    failed(&work.run(&[&flags[..], &node].concat(), ""), 4, "must be named by its link");
    failed(&work.flash(&[&card], &node), 4, "(--unmount unmounts it)");
    // one that is busy stays, and nothing is written
    let busy = File::create(media.0.join("busy"))?;
    let out = work.flash(&[&card], &[&node[..], &["--unmount"]].concat());
    failed(&out, 1, "nothing was written");
    drop(busy);
    assert!(media.0.join("busy").exists(), "it was unmounted by force");
    succeeded(&work.flash(&[&card], &[&node[..], &["--unmount"]].concat()));
    assert!(!media.0.join("busy").exists());
    work.build(&["1"]);
    assert_same(&card, &work.image("node-1"));
    Ok(())
}

pub fn no_card() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", 64 * MIB, 512);
    let node = ["--base", "sample", "--node", "1"];
    let flash = |path: &str| work.run(&[&["flash", path], &node[..]].concat(), "");
    failed(&flash(card.name()), 4, "only with --allow-fixed: a loop device");
    std::fs::write(work.path().join("file"), "mine")?;
    failed(&flash("./file"), 4, "is a regular file");
    assert_eq!(std::fs::read_to_string(work.path().join("file"))?, "mine");
    failed(&flash("/dev/null"), 4, "is a character device");
    failed(&flash("."), 4, "is a folder");
    failed(&flash("/dev/sdzz"), 2, "does not exist");
    assert!(!Path::new("/dev/sdzz").exists(), "a mistyped name must not become a file");
    assert!(card.is_as_before());
    // the lock switch
    run(tool("blockdev", "util-linux").arg("--setro").arg(card.device()));
    let out = work.flash(&[&card], &[&[card.name()], &node[..]].concat());
    run(tool("blockdev", "util-linux").arg("--setrw").arg(card.device()));
    failed(&out, 4, "read-only");
    Ok(())
}

pub fn answers() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", CARD, 512);
    let flash = |more: &[&str], answer: &str| {
        let node = ["flash", "--allow-fixed", "--base", "sample", "--node", "1"];
        work.run(&[&node[..], more].concat(), answer)
    };
    for answer in ["", "\n", "yes\n", "y\n", "0000 \n", "12345\n"] {
        failed(&flash(&[card.name()], answer), 4, "stays as it is; nothing was written");
    }
    failed(&flash(&[card.name(), "--yes"], ""), 4, "must be named by its link in /dev/disk/by-id");
    assert!(card.is_as_before());
    // scripts name the drive by a link that stays the same
    let link = Link::new(&card);
    let roundabout = format!("/dev/disk/by-id/../../{}", card.name().trim_start_matches("/dev/"));
    failed(&flash(&[&roundabout, "--yes"], ""), 4, "must be named by its link in /dev/disk/by-id");
    assert!(card.is_as_before());
    let out = flash(&[link.0.to_str().unwrap(), "--yes"], "");
    succeeded(&out);
    assert!(said(&out).contains(&format!("{} ({})", card.name(), link.0.display())), "{}", said(&out));
    work.build(&["1"]);
    assert_same(&card, &work.image("node-1"));
    Ok(())
}

/// A link as udev makes them, removed when dropped.
struct Link(PathBuf);

impl Link {
    fn new(card: &Loop) -> Self {
        std::fs::create_dir_all("/dev/disk/by-id").unwrap();
        let link = PathBuf::from(format!("/dev/disk/by-id/pibake-test-{}", std::process::id()));
        std::os::unix::fs::symlink(card.device(), &link).unwrap();
        Self(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
