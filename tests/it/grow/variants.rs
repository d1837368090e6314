//! The kinds of ext4 that are grown: those that the editor keeps, as mke2fs makes them.
#![allow(dead_code)] // each test binary uses its own part

use std::fs::File;
use std::path::{Path, PathBuf};

use support::images::{self, UBUNTU};
use support::{run, tool};

pub struct Variant {
    pub name: &'static str,
    pub mib: u64,
    pub features: &'static str,
    pub options: &'static [&'static str],
    /// The most that it can become where that is less than 64 GiB: what mke2fs kept space for.
    pub most: Option<u64>,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const UNINIT_BG: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,\
large_file,huge_file,dir_nlink,extra_isize,uninit_bg";
const SEED_AND_ORPHANS: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed,orphan_file";
const NO_CHECKSUMS: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
sparse_super,large_file,huge_file,dir_nlink";
const NO_FLEX: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,sparse_super,\
large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
const NO_FLEX_NO_CHECKSUMS: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,sparse_super,\
large_file";
const TWO_BACKUPS: &str = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super2,\
large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
const NO_RESIZE_INODE: &str = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
const ALL_BACKUPS: &str = "none,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,large_file,uninit_bg";
const NO_JOURNAL: &str = "none,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,\
huge_file,dir_nlink,extra_isize,metadata_csum";

const fn variant(
    name: &'static str,
    mib: u64,
    features: &'static str,
    options: &'static [&'static str],
    most: Option<u64>,
) -> Variant {
    Variant { name, mib, features, options, most }
}

const LAZY: &[&str] = &["-E", "lazy_itable_init=1"];

/// A block of descriptors is 64 or 128 of them, 8 or 16 GiB with blocks of 4 KiB.
pub const VARIANTS: [Variant; 18] = [
    variant("ubuntu", 64, UBUNTU, &[], None),
    variant("large", 3400, UBUNTU, LAZY, None),
    variant("uninit_bg", 64, UNINIT_BG, &[], None),
    variant("uninit_bg-lazy", 1500, UNINIT_BG, LAZY, None),
    variant("seed-and-orphans", 64, SEED_AND_ORPHANS, &[], None),
    variant("no-checksums", 200, NO_CHECKSUMS, &[], None),
    variant("no-flex", 200, NO_FLEX, &[], None),
    variant("no-flex-no-checksums", 200, NO_FLEX_NO_CHECKSUMS, &["-I", "128"], None),
    variant("two-backups", 500, TWO_BACKUPS, &[], Some(8 * GIB)),
    variant("two-backups-of-one-group", 64, TWO_BACKUPS, &[], Some(8 * GIB)),
    variant("no-resize-inode", 300, NO_RESIZE_INODE, &[], Some(8 * GIB)),
    variant("all-backups", 300, ALL_BACKUPS, &[], Some(16 * GIB)),
    variant("no-journal", 64, NO_JOURNAL, &[], None),
    variant("1k", 64, UBUNTU, &["-b", "1024"], Some((1 << 10) + 257 * 16 * 8 * MIB)),
    variant("2k-small-groups", 200, UBUNTU, &["-b", "2048", "-g", "2048"], None),
    variant("large-inodes", 64, UBUNTU, &["-I", "1024"], None),
    variant("wide-flex", 600, UBUNTU, &["-G", "64"], None),
    variant("packed", 600, UBUNTU, &["-E", "packed_meta_blocks=1"], None),
];

/// A file of 3 MB with some structure, and what its path is in the file system.
pub fn large_file() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n / 7) as u8).collect()
}

impl Variant {
    /// Makes it in `dir`.
    pub fn make(&self, dir: &Path) -> PathBuf {
        let root = dir.join("root");
        for n in 0..60 {
            images::put(&root.join(format!("etc/many/file-{n}")), &format!("{n}\n").repeat(n * 9));
        }
        std::fs::write(root.join("large"), large_file()).unwrap();
        let image = dir.join("base.ext4");
        File::create(&image).unwrap().set_len(self.mib * MIB).unwrap();
        let mut mkfs = tool("mkfs.ext4", "e2fsprogs");
        mkfs.args(["-q", "-F", "-L", "writable", "-m", "1", "-O", self.features]);
        mkfs.args(["-b", "4096", "-E", "root_owner=0:0"]);
        run(mkfs.args(self.options).arg("-d").arg(&root).arg(&image));
        image
    }
}
