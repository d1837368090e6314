//! Grown file systems in the kernel: they mount, what is written to the new space is there after an
//! unmount, and `resize2fs` makes them larger while they are mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pibake::disk::{FileDevice, partitions};
use pibake::fs::ext4::grow;

use crate::grown_variants::{VARIANTS, Variant, large_file};
use crate::loops::Attached;
use crate::writable::WritableFile;
use support::{run, tool};

const MIB: u64 = 1 << 20;

pub fn trials() -> Vec<Trial> {
    // what the kernel asks of whoever makes a mounted file system larger; containers often lack it
    let may_grow = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE));
    let trial = |what: &str, variant: &'static Variant, test: fn(&Variant)| {
        Trial::test(format!("grown::{what}::{}", variant.name), move || -> Result<(), Failed> {
            test(variant);
            Ok(())
        })
    };
    let mounted = VARIANTS.iter().map(|v| trial("mounted", v, is_used));
    let again = VARIANTS.iter().map(|v| trial("again", v, is_grown_again));
    let growpart = move || first_boot_goes_on(may_grow);
    let growpart = Trial::test("grown::growpart_and_resize2fs_go_on_in_a_larger_card", growpart);
    mounted.chain(again.map(|t| t.with_ignored_flag(!may_grow))).chain([growpart]).collect()
}

fn set_len(image: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(image).unwrap().set_len(len).unwrap();
}

/// A mounted file system, unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(device: &Path, at: &'a Path) -> Self {
        run(tool("mount", "mount").args(["-t", "ext4"]).arg(device).arg(at));
        Self(at)
    }

    fn bytes(&self) -> u64 {
        let found = rustix::fs::statvfs(self.0).unwrap();
        found.f_blocks * found.f_frsize
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // a process that another test starts just now holds open, for a moment, what this one has open
        for _ in 0..50 {
            if tool("umount", "mount").arg(self.0).status().is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{} is still mounted", self.0.display());
    }
}

/// Writes more than the old groups had space for, and looks at it.
fn fill(at: &Path, name: &str, files: usize) {
    let content = large_file();
    let dir = at.join(name);
    fs::create_dir(&dir).unwrap();
    for n in 0..files {
        fs::create_dir(dir.join(format!("dir-{n}"))).unwrap();
        fs::write(dir.join(format!("dir-{n}/file")), &content).unwrap();
    }
    assert!(fs::read(dir.join("dir-0/file")).unwrap() == content);
}

fn is_clean(image: &Path) {
    run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(image));
}

/// An image of the variant, grown by 500 MiB, and a folder to mount it on.
fn grown(variant: &Variant, dir: &Path) -> (PathBuf, PathBuf) {
    let (image, at) = (variant.make(dir), dir.join("mnt"));
    fs::create_dir(&at).unwrap();
    let len = variant.mib * MIB + 500 * MIB;
    set_len(&image, len);
    grow(&WritableFile::open(&image).unwrap(), len).unwrap();
    (image, at)
}

fn is_used(variant: &Variant) {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = grown(variant, dir.path());
    let device = Attached::new(&image, &[]);
    {
        let mounted = Mounted::new(device.path(), &at);
        // the kernel leaves the tables out
        assert!(mounted.bytes() > (variant.mib + 500) * MIB / 10 * 7, "{}", mounted.bytes());
        assert!(fs::read(at.join("large")).unwrap() == large_file());
        fill(&at, "grown", 100);
    }
    is_clean(&image);
    let _mounted = Mounted::new(device.path(), &at);
    for name in ["large", "grown/dir-0/file", "grown/dir-99/file"] {
        assert!(fs::read(at.join(name)).unwrap() == large_file(), "{name}");
    }
}

/// Without `sparse_super` or blocks kept back the kernel adds no block of descriptors; the sizes here need
/// none.
fn is_grown_again(variant: &Variant) {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = grown(variant, dir.path());
    let device = Attached::new(&image, &[]);
    {
        let mounted = Mounted::new(device.path(), &at);
        let before = mounted.bytes();
        set_len(&image, variant.mib * MIB + 2500 * MIB);
        run(tool("losetup", "mount").arg("--set-capacity").arg(device.path()));
        run(tool("resize2fs", "e2fsprogs").arg(device.path()));
        assert!(mounted.bytes() > before + 1900 * MIB, "{before} {}", mounted.bytes());
        fill(&at, "grown by resize2fs", 200);
    }
    is_clean(&image);
    let _mounted = Mounted::new(device.path(), &at);
    for name in ["large", "grown by resize2fs/dir-199/file"] {
        assert!(fs::read(at.join(name)).unwrap() == large_file(), "{name}");
    }
}

/// A node's image on a card that is larger still: cloud-init's growpart enlarges the partition again, and resize2fs
/// the file system, as they do on the first boot.
fn first_boot_goes_on(may_grow: bool) -> Result<(), Failed> {
    let dir = tempfile::tempdir().unwrap();
    let mut pibake = Command::new(env!("CARGO_BIN_EXE_pibake"));
    pibake.current_dir(dir.path()).env("XDG_CACHE_HOME", dir.path().join("cache"));
    run(pibake.args(["build", "--base", "sample", "--node", "1", "--image-size", "900M"]));
    let (image, at) = (dir.path().join("images/node-1.img"), dir.path().join("mnt"));
    let root = |image: &Path| partitions(&FileDevice::open(image).unwrap()).unwrap().1.remove(1);
    let baked = root(&image);
    set_len(&image, 2000 * MIB);
    {
        let card = Attached::new(&image, &["--partscan"]);
        let name = card.path().file_name().unwrap().to_str().unwrap().to_owned();
        let seen = || fs::read_to_string(format!("/sys/block/{name}/{name}p2/size")).ok();
        // not every kernel reads tables by itself
        if seen().is_none() {
            run(tool("partx", "util-linux").arg("--add").arg(card.path()));
        }
        let said = run(tool("growpart", "cloud-guest-utils").arg(card.path()).arg("2"));
        assert!(said.contains("CHANGED: partition=2"), "{said}");
        let size = seen().map(|text| text.trim().parse::<u64>().unwrap() * 512);
        assert_eq!(size, Some(root(&image).len), "what the kernel knows of it");
        // it has been asked again, as it is on each boot
        let again = tool("growpart", "cloud-guest-utils").arg(card.path()).arg("2").output().unwrap();
        assert!(String::from_utf8_lossy(&again.stdout).contains("NOCHANGE"), "{again:?}");
    }
    let grown = root(&image);
    assert_eq!((grown.offset, grown.len > 1700 * MIB), (baked.offset, true), "{grown:?}");
    fs::create_dir(&at).unwrap();
    let window = [format!("--offset={}", grown.offset), format!("--sizelimit={}", grown.len)];
    let device = Attached::new(&image, &window.each_ref().map(String::as_str));
    if !may_grow {
        run(tool("resize2fs", "e2fsprogs").arg("-f").arg(device.path()));
    }
    {
        let mounted = Mounted::new(device.path(), &at);
        let before = mounted.bytes();
        if may_grow {
            run(tool("resize2fs", "e2fsprogs").arg(device.path()));
            assert!(mounted.bytes() > before + 1000 * MIB, "{before} {}", mounted.bytes());
        }
        assert!(mounted.bytes() > 1600 * MIB, "{}", mounted.bytes());
        assert_eq!(fs::read_to_string(at.join("etc/hostname"))?, "node-1\n");
        fill(&at, "first boot", 200);
    }
    run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(device.path()));
    Ok(())
}
