//! Base images for tests, made by mkfs and mtools: real file systems, no mounts, no root.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{run, tool};

/// How an image differs from Ubuntu's.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Size of the FAT partition in MiB: 256 until 22.04's first images, 512 since.
    pub fat_mib: u64,
    /// Size of the ext4 partition in MiB.
    pub ext4_mib: u64,
    /// What `mkfs.ext4 -O` gets.
    pub features: &'static str,
    /// What else `mkfs.ext4` gets.
    pub options: &'static [&'static str],
    /// A GPT instead of an MBR.
    pub gpt: bool,
}

/// Features as ubuntu-image leaves them, with the newer of the two checksums.
pub const UBUNTU: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

impl Default for Spec {
    fn default() -> Self {
        Self { fat_mib: 256, ext4_mib: 64, features: UBUNTU, options: &[], gpt: false }
    }
}

/// Where the two partitions of an image lie, in bytes: offset and length.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    pub boot: (u64, u64),
    pub root: (u64, u64),
}

/// Files of the root file system that every image has: path and content.
pub const ROOT_FILES: [(&str, &str); 4] = [
    ("etc/hostname", "ubuntu\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("usr/lib/os-release", "ID=ubuntu\nVERSION_ID=\"20.04\"\n"),
    ("etc/machine-id", ""),
];

/// Files of the boot partition.
pub const BOOT_FILES: [(&str, &str); 3] = [
    ("cmdline.txt", "net.ifnames=0 console=serial0,115200 root=LABEL=writable rootwait fixrtc quiet\n"),
    ("user-data", "#cloud-config\nchpasswd:\n  expire: true\n  list:\n  - ubuntu:ubuntu\n"),
    ("meta-data", "instance_id: cloud-image\n"),
];

impl Spec {
    /// Makes the image as `dir/base.img`.
    pub fn make(&self, dir: &Path) -> (PathBuf, Places) {
        let root = dir.join("root");
        for (path, content) in ROOT_FILES {
            put(&root.join(path), content);
        }
        self.make_from(dir, &root)
    }

    /// Makes the image with the tree `root` in its ext4 partition.
    pub fn make_from(&self, dir: &Path, root: &Path) -> (PathBuf, Places) {
        const MIB: u64 = 1 << 20;
        let (fat, ext4) = (dir.join("p1.fat"), dir.join("p2.ext4"));
        truncate(&fat, self.fat_mib * MIB);
        run(tool("mkfs.vfat", "dosfstools")
            .args(["-F", "32", "-n", "system-boot", "-i", "5069626b"])
            .arg(&fat));
        for (name, content) in BOOT_FILES {
            let file = dir.join("boot").join(name);
            put(&file, content);
            run(tool("mcopy", "mtools").arg("-i").arg(&fat).arg(&file).arg("::"));
        }
        run(tool("mmd", "mtools").arg("-i").arg(&fat).arg("::overlays"));
        truncate(&ext4, self.ext4_mib * MIB);
        run(tool("mkfs.ext4", "e2fsprogs")
            .args(["-q", "-F", "-L", "writable", "-O", self.features, "-I", "256", "-m", "1"])
            // as an image of Ubuntu's size gets them; for such a small one mkfs would take 1 KiB
            .args(["-b", "4096"])
            .args(["-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"])
            .args(self.options)
            .arg("-d")
            .arg(root)
            .arg(&ext4));

        let places =
            Places { boot: (MIB, self.fat_mib * MIB), root: ((1 + self.fat_mib) * MIB, self.ext4_mib * MIB) };
        let image = dir.join("base.img");
        // one MiB more for the second table of a GPT
        truncate(&image, places.root.0 + places.root.1 + MIB);
        let (label, types) = match self.gpt {
            true => ("gpt", ["C12A7328-F81F-11D2-BA4B-00C93EC93B4F", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"]),
            false => ("dos", ["c", "83"]),
        };
        let line = |(offset, len): (u64, u64), kind| {
            format!("start={}, size={}, type={kind}\n", offset / 512, len / 512)
        };
        let script =
            format!("label: {label}\n{}{}", line(places.boot, types[0]), line(places.root, types[1]));
        let table = dir.join("table");
        put(&table, &script);
        run(Command::new("sh")
            .args(["-c", "sfdisk -q \"$1\" < \"$2\"", "sh"])
            .arg(&image)
            .arg(&table)
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())));
        for (part, (offset, _)) in [(&fat, places.boot), (&ext4, places.root)] {
            splice(part, &image, offset);
            fs::remove_file(part).unwrap();
        }
        (image, places)
    }
}

/// Copies the bytes of `part` that are not zero into `image` from `offset` on.
pub fn splice(part: &Path, image: &Path, offset: u64) {
    let to = fs::OpenOptions::new().write(true).open(image).unwrap();
    copy_data(&fs::File::open(part).unwrap(), 0, &to, offset, fs::metadata(part).unwrap().len());
}

/// Copies the partition at `(offset, len)` out of `image` into a file of its own.
pub fn extract(image: &Path, (offset, len): (u64, u64), to: &Path) {
    truncate(to, len);
    let out = fs::OpenOptions::new().write(true).open(to).unwrap();
    copy_data(&fs::File::open(image).unwrap(), offset, &out, 0, len);
}

fn copy_data(from: &fs::File, from_at: u64, to: &fs::File, to_at: u64, len: u64) {
    use rustix::fs::{SeekFrom, seek};
    let end = from_at + len;
    let mut chunk = vec![0; 1 << 16];
    let mut at = from_at;
    while at < end {
        // holes need not be read: most of an image is one
        let Ok(data) = seek(from, SeekFrom::Data(at)) else { break };
        let Ok(hole) = seek(from, SeekFrom::Hole(data)) else { break };
        at = data;
        while at < hole.min(end) {
            let n = (hole.min(end) - at).min(chunk.len() as u64) as usize;
            from.read_exact_at(&mut chunk[..n], at).unwrap();
            if chunk[..n].iter().any(|b| *b != 0) {
                to.write_all_at(&chunk[..n], to_at + at - from_at).unwrap();
            }
            at += n as u64;
        }
    }
}

/// Both file systems of an image, checked by the programs that would repair them.
pub fn assert_clean(image: &Path, places: Places) {
    let dir = tempfile::tempdir().unwrap();
    let (fat, ext4) = (dir.path().join("p1"), dir.path().join("p2"));
    extract(image, places.boot, &fat);
    extract(image, places.root, &ext4);
    run(tool("fsck.fat", "dosfstools").arg("-n").arg(&fat));
    run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(&ext4));
}

/// Gives every directory of the image's root file system that is larger than a block the index that
/// the kernel would have given it: mkfs makes linear ones.
pub fn index_directories(image: &Path, places: Places) {
    let dir = tempfile::tempdir().unwrap();
    let ext4 = dir.path().join("p2");
    extract(image, places.root, &ext4);
    // exit code 1: it changed something
    let done = tool("e2fsck", "e2fsprogs").arg("-fyD").arg(&ext4).output().unwrap();
    assert!(matches!(done.status.code(), Some(0 | 1)), "{done:?}");
    splice(&ext4, image, places.root.0);
}

/// Writes a file, with the folders above it.
pub fn put(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn truncate(path: &Path, len: u64) {
    fs::File::create(path).unwrap().set_len(len).unwrap();
}
