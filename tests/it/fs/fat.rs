//! FAT directories that grow into clusters which hold what was deleted from them.

use std::collections::BTreeMap;
use std::path::Path;

use pibake::disk::{FileDevice, WriteAt};
use pibake::fs::fat::{Bpb, Fat, FatView, RootDirectory};
use pibake::fs::{Error, FsEdit, FsRead};

use super::{CLOCK, ROOT, path};
use crate::writable::WritableFile;
use support::{run, tool};

/// A FAT whose free clusters are full of entries that nobody made.
fn used_before(file: &Path, mib: u64, options: &[&str]) -> WritableFile {
    std::fs::File::create(file).unwrap().set_len(mib << 20).unwrap();
    run(tool("mkfs.vfat", "dosfstools").args(["-n", "system-boot"]).args(options).arg(file));
    let device = WritableFile::open(file).unwrap();
    let bpb = Bpb::read(&device).unwrap();
    let first_free = match bpb.root {
        RootDirectory::Chain(_) => bpb.data_offset + bpb.cluster_len,
        RootDirectory::Fixed { .. } => bpb.data_offset,
    };
    let mut entry = *b"STALE   TXT\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\x10\0\0\0";
    entry[20] = 0;
    let stale = entry.repeat(1 << 15);
    let mut at = first_free;
    // the first MiBs are what is taken next
    while at < (first_free + (6 << 20)).min(bpb.len) {
        let n = (bpb.len - at).min(stale.len() as u64) as usize;
        device.write_at(at, &stale[..n]).unwrap();
        at += n as u64;
    }
    device
}

fn names(view: &FatView<FileDevice>, of: &str) -> Vec<String> {
    view.names(&path(of)).unwrap()
}

fn grows(mib: u64, options: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fat");
    let fs = Box::new(Fat::open(used_before(&file, mib, options), CLOCK).unwrap());
    fs.create_dir(&path("/below"), ROOT).unwrap();
    let mut content = BTreeMap::new();
    for n in 0..60 {
        for folder in ["", "/below"] {
            let name = format!("{folder}/a rather long name of a file, number {n}");
            content.insert(name.clone(), name.repeat(n));
            fs.write(&path(&name), &mut name.repeat(n).as_bytes(), ROOT).unwrap();
        }
    }
    fs.finish().unwrap();
    run(tool("fsck.fat", "dosfstools").arg("-n").arg(&file));
    let view = FatView::open(FileDevice::open(&file).unwrap()).unwrap();
    assert_eq!((names(&view, "/").len(), names(&view, "/below").len()), (61, 60));
    for (name, content) in content {
        assert_eq!(view.content(&path(&name), 1 << 20).unwrap(), content.as_bytes());
    }
    let listed = run(tool("mdir", "mtools").args(["-b", "-i"]).arg(&file).arg("::"));
    assert!(!listed.contains("STALE") && listed.lines().count() == 61, "{listed}");
}

#[test]
fn root_directories_of_fat32_grow_into_cleared_clusters() {
    grows(40, &["-F", "32", "-s", "1"]);
    grows(300, &["-F", "32", "-s", "8"]);
}

#[test]
fn directories_of_fat16_grow_into_cleared_clusters() {
    grows(20, &["-F", "16", "-s", "4"]);
}

/// Exactly as many entries as a cluster holds, one fewer, and one more.
#[test]
fn a_root_directory_that_is_just_full() {
    for count in [14, 15, 16, 17, 31, 32] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fat");
        let fs = Box::new(Fat::open(used_before(&file, 40, &["-F", "32", "-s", "1"]), CLOCK).unwrap());
        for n in 0..count {
            // one entry each, the label has the first; clusters are of 16 entries
            fs.write(&path(&format!("/F{n}")), &mut &b""[..], ROOT).unwrap();
        }
        fs.finish().unwrap();
        run(tool("fsck.fat", "dosfstools").arg("-n").arg(&file));
        let view = FatView::open(FileDevice::open(&file).unwrap()).unwrap();
        assert_eq!(names(&view, "/").len(), count, "{count}");
    }
}

#[test]
fn the_root_directory_of_a_fat16_says_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fat");
    let fs = Fat::open(used_before(&file, 20, &["-F", "16", "-s", "4", "-r", "64"]), CLOCK).unwrap();
    let full = (0..100).find_map(|n| fs.write(&path(&format!("/F{n}")), &mut &b"x"[..], ROOT).err());
    assert!(matches!(full, Some(Error::Full { .. })), "{full:?}");
}

#[test]
fn fat12_and_tables_that_are_not_mirrored_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = |file: &Path| Fat::open(WritableFile::open(file).unwrap(), CLOCK).err().unwrap();
    let small = dir.path().join("small");
    std::fs::File::create(&small).unwrap().set_len(2 << 20).unwrap();
    run(tool("mkfs.vfat", "dosfstools").args(["-F", "12"]).arg(&small));
    assert!(error(&small).to_string().contains("FAT12"));
    let single = dir.path().join("single");
    used_before(&single, 40, &["-F", "32", "-s", "1"]).write_at(0x28, &[0x81]).unwrap();
    assert!(matches!(error(&single), Error::Incompatible { fs: "FAT", .. }));
}
