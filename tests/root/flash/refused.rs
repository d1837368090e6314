//! Drives that are never written, and how one is asked.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use libtest_mimic::Failed;

use super::work::{CARD, MIB, Work, assert_same, failed, said, succeeded};
use crate::loops::{Drive, Loop};
use crate::support::{run, tool};

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
    failed(&flash("/dev/sdzz"), 4, "is not there");
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
