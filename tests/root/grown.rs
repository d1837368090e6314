//! Grown file systems in the kernel: they mount, what is written to the new space is there after an
//! unmount, and `resize2fs` makes them larger while they are mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
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
    mounted.chain(again.map(|t| t.with_ignored_flag(!may_grow))).collect()
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
