//! Base images made of this machine's own files: Ubuntu's layout and compression, and content
//! that compresses as programs and libraries do.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::work::Work;
use support::images::{self, Spec};
use support::{run, tool};

/// Goes into the names: raise it when bases are made in another way.
const VERSION: u32 = 1;
const MIB: u64 = 1 << 20;

/// How a base is to be.
pub struct Kind {
    name: &'static str,
    ext4_mib: u64,
    /// What the root file system's files come to, in bytes.
    used: u64,
}

/// As large as Ubuntu's 20.04 image: 3.3 GiB, 2 GiB of it in files.
pub const LARGE: Kind = Kind { name: "large", ext4_mib: 3120, used: 2048 * MIB };

/// 1 GiB, with 300 MiB in files.
pub const SMALL: Kind = Kind { name: "small", ext4_mib: 766, used: 300 * MIB };

/// Firmware, kernel and initrd: what fills the boot partition, roughly.
const BOOT_FILES: usize = 40;
const OVERLAYS: usize = 220;
const BOOT_LARGE: u64 = 30 * MIB;

/// A base image, as published and unpacked.
pub struct Base {
    pub packed: PathBuf,
    pub raw: PathBuf,
}

impl Base {
    /// The base of that kind, made if it is not there yet.
    pub fn get(work: &Work, kind: &Kind) -> Self {
        let home = work.dir().join(format!("base-{}-{VERSION}", kind.name));
        if !home.exists() {
            eprintln!("making {} of this machine's files, once", home.display());
            let scratch = work.scratch();
            let made = scratch.path().join("base");
            fs::create_dir(&made).expect("a folder");
            make(&made, kind);
            fs::rename(&made, &home).unwrap_or_else(|e| panic!("{}: {e}", home.display()));
        }
        Self { packed: home.join("base.img.xz"), raw: home.join("base.img") }
    }
}

fn make(dir: &Path, kind: &Kind) {
    let root = dir.join("root");
    let taken = collect(Path::new("/usr"), &root.join("usr"), kind.used);
    assert!(taken >= kind.used / 2, "/usr holds {taken} bytes of files: too few to make a base of");
    // more of the same is as hard to compress: the copies are far apart
    let mut copies = 1;
    let mut total = taken;
    while total < kind.used {
        total += collect(Path::new("/usr"), &root.join(format!("srv/copy-{copies}")), kind.used - total);
        copies += 1;
    }
    for (path, content) in images::ROOT_FILES {
        let _ = fs::remove_file(root.join(path));
        images::put(&root.join(path), content);
    }
    let spec = Spec { ext4_mib: kind.ext4_mib, ..Spec::default() };
    let (image, _) = spec.make_from(dir, &root);
    fill_boot(dir, &image);
    for left in ["root", "boot", "firmware"] {
        fs::remove_dir_all(dir.join(left)).expect("removing what is no longer needed");
    }
    // as Ubuntu does
    run(tool("xz", "xz-utils").args(["-0", "-T4", "--block-size=1MiB", "-k"]).arg(&image));
}

/// Copies files of `from` to `to`, breadth first, until they hold `limit` bytes in blocks of 4096.
fn collect(from: &Path, to: &Path, limit: u64) -> u64 {
    let mut sum = 0;
    let mut folders = VecDeque::from([(from.to_owned(), to.to_owned())]);
    while let Some((from, to)) = folders.pop_front() {
        fs::create_dir_all(&to).expect("a folder");
        let Ok(entries) = fs::read_dir(&from) else { continue };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (Ok(meta), place) = (entry.metadata(), to.join(entry.file_name())) else { continue };
            let size = meta.len().next_multiple_of(4096);
            if meta.is_dir() {
                folders.push_back((entry.path(), place));
            } else if meta.is_symlink() {
                let target = fs::read_link(entry.path()).expect("a link");
                std::os::unix::fs::symlink(target, place).expect("a link");
            } else if meta.is_file() && meta.nlink() == 1 && sum + size <= limit {
                // what this user may not read is left out
                if fs::copy(entry.path(), &place).is_ok() {
                    sum += size;
                }
            }
        }
        if sum + 4096 > limit {
            break;
        }
    }
    sum
}

/// Gives the boot partition as many files as Ubuntu's has, and about as large ones.
fn fill_boot(dir: &Path, image: &Path) {
    let firmware = dir.join("firmware");
    fs::create_dir_all(firmware.join("overlays")).expect("a folder");
    let mut sizes = images_of_programs();
    sizes.sort();
    let small: Vec<PathBuf> =
        sizes.iter().map(|(_, path)| path.clone()).take(OVERLAYS + BOOT_FILES).collect();
    for (n, path) in small.iter().enumerate() {
        let name = match n {
            0..OVERLAYS => format!("overlays/overlay-{n}.dtbo"),
            _ => format!("bcm2711-board-{n}.dtb"),
        };
        fs::copy(path, firmware.join(name)).expect("a copy");
    }
    for name in ["vmlinuz", "initrd.img"] {
        let mut content = Vec::new();
        for (_, path) in sizes.iter().rev() {
            if content.len() as u64 >= BOOT_LARGE {
                break;
            }
            content.extend(fs::read(path).expect("a program"));
        }
        content.truncate(BOOT_LARGE as usize);
        fs::write(firmware.join(name), content).expect("a file");
    }
    // the boot partition begins at 1 MiB, in Ubuntu's image as here
    let place = format!("{}@@1M", image.display());
    let mut copy = tool("mcopy", "mtools");
    copy.args(["-s", "-o", "-Q", "-i", &place]);
    for entry in fs::read_dir(&firmware).expect("a folder") {
        copy.arg(entry.expect("an entry").path());
    }
    run(copy.arg("::"));
}

fn images_of_programs() -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir("/usr/bin").expect("/usr/bin").flatten();
    entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            let readable = meta.is_file() && fs::File::open(entry.path()).is_ok();
            readable.then(|| (meta.len(), entry.path()))
        })
        .collect()
}
