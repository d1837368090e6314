//! Edits of real file systems, checked by e2fsck and fsck.fat, on every kind of ext4 that a Pi image may have.

mod fat;
mod kinds;
mod probes;
mod tables;
mod times;
mod used;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::writable::WritableFile;
use pibake::disk::{ReadAt, WriteAt, partitions};
use pibake::fs::ext4::Ext4;
use pibake::fs::fat::{Bpb, Clock, Fat};
use pibake::fs::{Attributes, Error, FileKind, FsEdit, FsRead, layout, remove_all};
use pibake::image_path::ImagePath;
use support::images::{self, Spec, UBUNTU};
use support::{run, tool};

const NOW: i64 = 1_700_000_000;
const CLOCK: &Clock = &Clock::new(NOW);
const ROOT: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: NOW };

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).unwrap()
}

fn open(image: &Path) -> (Box<dyn FsEdit>, Box<dyn FsEdit>) {
    let device: Arc<dyn WriteAt> = Arc::new(WritableFile::open(image).unwrap());
    let (_, found) = partitions(&device).unwrap();
    let layout = layout::find(&(Arc::clone(&device) as Arc<dyn ReadAt>), &found).unwrap();
    let boot = Fat::open(layout.boot.open(Arc::clone(&device)).unwrap(), CLOCK).unwrap();
    let root = Ext4::open(layout.root.open(device).unwrap(), NOW).unwrap();
    (Box::new(boot), Box::new(root))
}

fn content(fs: &dyn FsEdit, at: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs.read(&path(at), &mut bytes).unwrap();
    bytes
}

/// A bit of everything that a bake does, in both file systems.
fn edit(boot: &dyn FsEdit, root: &dyn FsEdit) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    let dir_mode = Attributes { mode: 0o755, ..ROOT };
    root.create_dir(&path("/new"), dir_mode).unwrap();
    boot.create_dir(&path("/a new directory"), dir_mode).unwrap();
    boot.create_dir(&path("/a new directory/inner"), dir_mode).unwrap();
    boot.create_dir(&path("/a new directory/gone"), dir_mode).unwrap();
    boot.write(&path("/a new directory/gone/file"), &mut &b"x"[..], ROOT).unwrap();
    assert!(matches!(boot.remove(&path("/a new directory/gone")), Err(Error::Path { .. })));
    assert!(remove_all(boot, &path("/a new directory/gone")).unwrap());
    assert!(matches!(boot.create_dir(&path("/overlays"), dir_mode), Err(Error::Path { .. })));
    assert!(matches!(boot.write(&path("/a:b"), &mut &b""[..], ROOT), Err(Error::Path { .. })));
    for (fs, below) in [(boot, "/overlays"), (boot, "/a new directory/inner"), (root, "/new")] {
        let at = |name: &str| path(&format!("{below}/{name}"));
        fs.write(&at("empty"), &mut &b""[..], ROOT).unwrap();
        fs.write(&at("large file.bin"), &mut &large[..], Attributes { mode: 0o4750, uid: 1000, ..ROOT })
            .unwrap();
        assert_eq!(content(fs, at("large file.bin").as_str()), large);
        let before = fs.names(&path(below)).unwrap().len();
        for n in 0..60 {
            let name = at(&format!("a rather long file name, number {n}"));
            fs.write(&name, &mut name.as_str().as_bytes(), ROOT).unwrap();
        }
        assert_eq!(fs.names(&path(below)).unwrap().len(), before + 60);
        assert!(remove_all(fs, &at("a rather long file name, number 7")).unwrap());
        assert!(!remove_all(fs, &at("a rather long file name, number 7")).unwrap());
        assert!(matches!(fs.write(&path(below), &mut &b""[..], ROOT), Err(Error::Path { .. })));
        assert!(matches!(fs.write(&path("/absent/file"), &mut &b""[..], ROOT), Err(Error::Path { .. })));
        assert_eq!(fs.metadata(&path("/absent/file")).unwrap(), None);
    }
    root.create_dir(&path("/new/deep"), Attributes { mode: 0o700, uid: 7, gid: 8, mtime: 5 }).unwrap();
    root.write(&path("/new/deep/file"), &mut &b"x"[..], ROOT).unwrap();
    assert!(remove_all(root, &path("/new/deep")).unwrap());
    boot.write(&path("/CMDLINE.txt"), &mut &b"quiet\n"[..], ROOT).unwrap();
    assert_eq!(content(boot, "/cmdline.txt"), b"quiet\n");
    assert!(matches!(boot.symlink(&path("/link"), "x"), Err(Error::Path { .. })));

    root.write(&path("/etc/hostname"), &mut &b"node-1\n"[..], Attributes { mode: 0o600, ..ROOT }).unwrap();
    root.symlink(&path("/etc/link"), "hostname").unwrap();
    root.symlink(&path("/etc/hosts"), &"x".repeat(100)).unwrap();
    assert_eq!(content(root, "/etc/hosts").len(), 100);
    let large = root.metadata(&path("/new/large file.bin")).unwrap().unwrap();
    assert_eq!((large.kind, large.len), (FileKind::File, 3_000_000));
    assert_eq!(large.attributes, Some(Attributes { mode: 0o4750, uid: 1000, gid: 0, mtime: NOW }));
    assert_eq!(root.metadata(&path("/etc/link")).unwrap().unwrap().kind, FileKind::Symlink);
}

fn edits_leave_it_clean(spec: &Spec) {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = spec.make(dir.path());
    let (boot, root) = open(&image);
    edit(boot.as_ref(), root.as_ref());
    boot.finish().unwrap();
    root.finish().unwrap();
    images::assert_clean(&image, places);

    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    let debugfs = |request: &str| run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&ext4));
    assert_eq!(debugfs("cat /etc/hostname"), "node-1\n");
    let stat = debugfs("stat \"/new/large file.bin\"");
    assert!(stat.contains("Mode:  04750") && stat.contains("User:  1000"), "{stat}");
}

#[test]
fn ubuntus_layout() {
    edits_leave_it_clean(&Spec::default());
}

#[test]
fn a_boot_partition_of_512_mib() {
    edits_leave_it_clean(&Spec { fat_mib: 512, ..Spec::default() });
}

#[test]
fn uninit_bg_without_checksums_and_64bit() {
    let features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,\
                    large_file,huge_file,dir_nlink,extra_isize,uninit_bg";
    edits_leave_it_clean(&Spec { features, ..Spec::default() });
}

#[test]
fn metadata_csum_seed_and_orphan_file() {
    let features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
                    large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed,orphan_file";
    edits_leave_it_clean(&Spec { features, ..Spec::default() });
}

#[test]
fn blocks_of_1_kib() {
    edits_leave_it_clean(&Spec { options: &["-b", "1024"], ..Spec::default() });
}

#[test]
fn a_gpt() {
    edits_leave_it_clean(&Spec { gpt: true, ..Spec::default() });
}

#[test]
fn directories_with_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for n in 0..3000 {
        images::put(&root.join(format!("etc/many/file-with-a-name-{n}")), "");
    }
    images::put(&root.join("etc/hostname"), "ubuntu\n");
    let spec = Spec { ext4_mib: 128, ..Spec::default() };
    let (image, places) = spec.make_from(dir.path(), &root);
    images::index_directories(&image, places);
    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    let stat = run(tool("debugfs", "e2fsprogs").args(["-R", "htree_dump /etc/many"]).arg(&ext4));
    assert!(stat.contains("Root node"), "{stat}");
    let (boot, fs) = open(&image);
    for n in 0..200 {
        fs.write(&path(&format!("/etc/many/added-{n}")), &mut &b"x"[..], ROOT).unwrap();
        fs.remove(&path(&format!("/etc/many/file-with-a-name-{}", n * 7))).unwrap();
    }
    assert_eq!(fs.names(&path("/etc/many")).unwrap().len(), 3000);
    boot.finish().unwrap();
    fs.finish().unwrap();
    images::assert_clean(&image, places);
}

#[test]
fn a_full_file_system_says_so_and_stays_clean() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec { ext4_mib: 16, ..Spec::default() }.make(dir.path());
    let (fat, filler) = (dir.path().join("p1"), dir.path().join("filler"));
    images::extract(&image, places.boot, &fat);
    std::fs::write(&filler, vec![0; 245 << 20]).unwrap();
    run(tool("mcopy", "mtools").arg("-i").arg(&fat).arg(&filler).arg("::"));
    images::splice(&fat, &image, places.boot.0);
    let (boot, root) = open(&image);
    let too_much = vec![1; 32 << 20];
    let error = root.write(&path("/etc/big"), &mut &too_much[..], ROOT).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    root.finish().unwrap();
    let error = boot.write(&path("/big"), &mut &too_much[..], ROOT).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    boot.finish().unwrap();
    images::assert_clean(&image, places);
}

/// Opens the ext4 partition after `tamper` had the file system, and returns the refusal.
fn refused(features: &'static str, tamper: impl Fn(&Path)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec { ext4_mib: 16, features, ..Spec::default() }.make(dir.path());
    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    tamper(&ext4);
    let before = std::fs::read(&ext4).unwrap();
    let error = Ext4::open(WritableFile::open(&ext4).unwrap(), NOW).err().expect("it was opened");
    assert!(std::fs::read(&ext4).unwrap() == before, "a refused file system was written to");
    error
}

fn debugfs(request: &'static str) -> impl Fn(&Path) {
    move |file| {
        run(tool("debugfs", "e2fsprogs").args(["-w", "-R", request]).arg(file));
    }
}

#[test]
fn a_pending_journal_errors_and_orphans_are_refused() {
    for request in [
        "feature needs_recovery",
        "set_super_value state 3",
        "set_super_value state 0",
        "set_super_value last_orphan 12",
    ] {
        let error = refused(UBUNTU, debugfs(request));
        assert!(matches!(error, Error::NotClean { fs: "ext4", .. }), "{request}: {error:?}");
    }
}

#[test]
fn features_that_the_editor_does_not_keep_are_refused_by_name() {
    let error = refused(UBUNTU, debugfs("feature encrypt"));
    assert!(error.to_string().contains("encrypt"), "{error}");
    let error = refused(UBUNTU, debugfs("set_super_value feature_incompat 0x80002c2"));
    assert!(error.to_string().contains("unknown incompat bits 0x8000000"), "{error}");
    let quota = "has_journal,dir_index,filetype,extent,sparse_super,quota";
    assert!(refused(quota, |_| {}).to_string().contains("quota"));
    let bigalloc = "has_journal,dir_index,filetype,extent,sparse_super,bigalloc";
    assert!(refused(bigalloc, |_| {}).to_string().contains("bigalloc"));
}

#[test]
fn what_is_no_ext4_is_refused() {
    let error = refused(UBUNTU, |file| {
        run(Command::new("dd")
            .args(["if=/dev/zero", "bs=1024", "seek=1", "count=1", "conv=notrunc", "status=none"])
            .arg(format!("of={}", file.display())));
    });
    assert!(matches!(error, Error::NotThere { wanted: "ext4", .. }), "{error:?}");
}

#[test]
fn a_fat_that_was_not_unmounted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec::default().make(dir.path());
    let fat = dir.path().join("p1");
    images::extract(&image, places.boot, &fat);
    let device = WritableFile::open(&fat).unwrap();
    device.write_at(0x41, &[1]).unwrap();
    assert!(matches!(Fat::open(device, CLOCK), Err(Error::NotClean { fs: "FAT", .. })));
}

/// A FAT whose root directory is a chain of two clusters that lead to each other and never end.
#[test]
fn a_fat_that_leads_in_circles_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let fat = dir.path().join("p1");
    std::fs::File::create(&fat).unwrap().set_len(40 << 20).unwrap();
    run(tool("mkfs.vfat", "dosfstools").args(["-F", "32", "-s", "1", "-n", "system-boot"]).arg(&fat));
    let device = WritableFile::open(&fat).unwrap();
    let bpb = Bpb::read(&device).unwrap();
    device.write_at(bpb.fat_offset + 8, &[3, 0, 0, 0, 2, 0, 0, 0]).unwrap();
    // deleted entries: nothing is found, and no entry says that no more follow
    device.write_at(bpb.data_offset, &[0xe5; 1024]).unwrap();
    let fs = Fat::open(device, CLOCK).unwrap();
    for result in [
        fs.names(&path("/")).map(drop),
        fs.write(&path("/cmdline.txt"), &mut &b"x"[..], ROOT),
        fs.metadata(&path("/cmdline.txt")).map(drop),
    ] {
        assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
    }
}

#[test]
fn the_journal_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec::default().make(dir.path());
    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    let journal = || run(tool("debugfs", "e2fsprogs").args(["-R", "logdump -a"]).arg(&ext4));
    let content = |to: &str| {
        let to = dir.path().join(to);
        run(tool("debugfs", "e2fsprogs").arg("-R").arg(format!("dump <8> {}", to.display())).arg(&ext4));
        std::fs::read(to).unwrap()
    };
    let (log, before) = (journal(), content("before"));
    let fs: Box<dyn FsEdit> = Box::new(Ext4::open(WritableFile::open(&ext4).unwrap(), NOW).unwrap());
    fs.write(&path("/etc/new"), &mut &vec![7; 5 << 20][..], ROOT).unwrap();
    fs.finish().unwrap();
    assert_eq!(journal(), log);
    assert!(content("after") == before, "the journal was written to");
    run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(&ext4));
}
