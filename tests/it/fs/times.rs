//! Times before 1970 and after 2038, read by both readers and by debugfs.

use std::path::{Path, PathBuf};

use pibake::disk::{FileDevice, ReadAt, WriteAt};
use pibake::fs::ext4::{Ext4, Ext4View, Time};
use pibake::fs::{Attributes, Error, FsEdit, FsRead};

use super::{ROOT, path};
use crate::writable::WritableFile;
use support::images::{self, Spec, UBUNTU};
use support::{run, tool};

const WITHOUT_CHECKSUMS: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,sparse_super,\
                                 large_file,dir_nlink,extra_isize";

fn file_system(dir: &Path, features: &'static str, options: &'static [&'static str]) -> PathBuf {
    let (image, places) = Spec { ext4_mib: 16, features, options, ..Spec::default() }.make(dir);
    let ext4 = dir.join("p2");
    images::extract(&image, places.root, &ext4);
    ext4
}

/// Seconds on both sides of every edge that the format has.
const MOMENTS: [i64; 12] = [
    -(1 << 31),
    -1,
    -31_536_000,
    0,
    1,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 32) + (1 << 31),
    (1 << 33) + 5,
    (3 << 32) + (1 << 31) - 1,
];

#[test]
fn what_is_written_is_read_back_by_everybody() {
    for features in [UBUNTU, WITHOUT_CHECKSUMS] {
        let dir = tempfile::tempdir().unwrap();
        let ext4 = file_system(dir.path(), features, &[]);
        for (n, seconds) in MOMENTS.into_iter().enumerate() {
            let fs: Box<dyn FsEdit> =
                Box::new(Ext4::open(WritableFile::open(&ext4).unwrap(), seconds).unwrap());
            let at = path(&format!("/etc/{n}"));
            fs.write(&at, &mut &b"x"[..], Attributes { mtime: seconds, ..ROOT }).unwrap();
            assert_eq!(fs.metadata(&at).unwrap().unwrap().attributes.unwrap().mtime, seconds);
            fs.finish().unwrap();
        }
        run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(&ext4));
        let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
        for (n, seconds) in MOMENTS.into_iter().enumerate() {
            let at = path(&format!("/etc/{n}"));
            assert_eq!(view.metadata(&at).unwrap().unwrap().attributes.unwrap().mtime, seconds);
            assert_eq!(view.modified(&at).unwrap(), Some(Time { seconds, nanoseconds: 0 }), "{features}");
            let stat = run(tool("debugfs", "e2fsprogs").args(["-R", &format!("stat /etc/{n}")]).arg(&ext4));
            for name in ["mtime", "ctime", "atime", "crtime"] {
                let time = format!("{name}: 0x{:08x}:{:08x}", seconds as u32, (seconds + (1 << 31)) >> 32);
                assert!(stat.contains(&time), "{features}, {seconds}: {time} in {stat}");
            }
        }
    }
}

#[test]
fn a_time_is_read_as_it_is_whatever_the_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let ext4 = file_system(dir.path(), UBUNTU, &[]);
    for request in [
        "sif /etc/hostname mtime 0xfffffff0",
        "sif /etc/hostname mtime_extra 0xee6b27fc",
        "sif /etc/hostname atime 0x80000000",
        "sif /etc/hostname atime_extra 0x1",
        "sif /etc/hostname crtime 0x12345678",
        "sif /etc/hostname crtime_extra 0x7",
    ] {
        run(tool("debugfs", "e2fsprogs").args(["-w", "-R", request]).arg(&ext4));
    }
    let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
    let modified = view.modified(&path("/etc/hostname")).unwrap();
    assert_eq!(modified, Some(Time { seconds: -16, nanoseconds: 999_999_999 }));
    assert_eq!(view.modified(&path("/etc/not there")).unwrap(), None);
}

#[test]
fn small_inodes_keep_no_time_after_2038() {
    let dir = tempfile::tempdir().unwrap();
    let ext4 = file_system(dir.path(), "none,has_journal,filetype,extent,sparse_super", &["-I", "128"]);
    let open = |now: i64| Ext4::open(WritableFile::open(&ext4).unwrap(), now);
    for now in [1 << 31, -(1 << 31) - 1] {
        assert!(matches!(open(now), Err(Error::Time { .. })), "{now}");
    }
    let fs: Box<dyn FsEdit> = Box::new(open(-5).unwrap());
    fs.write(&path("/etc/new"), &mut &b"x"[..], Attributes { mtime: -5, ..ROOT }).unwrap();
    fs.finish().unwrap();
    run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(&ext4));
    let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
    assert_eq!(view.modified(&path("/etc/new")).unwrap(), Some(Time { seconds: -5, nanoseconds: 0 }));
}

/// The reader must not be made to see a right checksum where there is a wrong one.
#[test]
fn an_inode_with_a_wrong_checksum_is_still_damage() {
    let dir = tempfile::tempdir().unwrap();
    let ext4 = file_system(dir.path(), UBUNTU, &[]);
    let imap = run(tool("debugfs", "e2fsprogs").args(["-R", "imap /etc/hostname"]).arg(&ext4));
    let number = |word: &str, radix| {
        let rest = &imap[imap.find(word).unwrap() + word.len()..];
        let digits =
            rest.trim_start().trim_start_matches("0x").split(|c: char| !c.is_ascii_hexdigit()).next();
        u64::from_str_radix(digits.unwrap(), radix).unwrap()
    };
    let at = number("located at block ", 10) * 4096 + number("offset ", 16);
    let device = WritableFile::open(&ext4).unwrap();
    for byte in [0x08, 0x10, 0x20, 0x7c, 0x82, 0x88, 0x90] {
        let mut old = [0];
        device.read_at(at + byte, &mut old).unwrap();
        device.write_at(at + byte, &[old[0] ^ 1]).unwrap();
        let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
        let read = view.metadata(&path("/etc/hostname"));
        assert!(matches!(read, Err(Error::Corrupt { .. })), "byte {byte:#x}: {read:?}");
        device.write_at(at + byte, &old).unwrap();
    }
    let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
    assert!(view.metadata(&path("/etc/hostname")).unwrap().is_some());
}
