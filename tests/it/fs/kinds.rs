//! Every kind of ext4 that mke2fs makes: it is edited and e2fsck finds nothing, or it is refused by name.

use pibake::disk::FileDevice;
use pibake::fs::Error;
use pibake::fs::FsRead;
use pibake::fs::ext4::{Ext4, Ext4View};

use super::{NOW, ROOT, content, edit, open, path};
use crate::writable::WritableFile;
use support::images::{self, Spec, UBUNTU};
use support::{run, tool};

/// Edits a file system made with these features and options, and has e2fsck and the second reader look.
fn kept(features: &'static str, options: &'static [&'static str]) {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec { features, options, ..Spec::default() }.make(dir.path());
    let (boot, root) = open(&image);
    edit(boot.as_ref(), root.as_ref());
    boot.finish().unwrap();
    root.finish().unwrap();
    images::assert_clean(&image, places);
    let ext4 = dir.path().join("p2");
    images::extract(&image, places.root, &ext4);
    let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
    let mut read = Vec::new();
    view.read(&path("/etc/hostname"), &mut read).unwrap();
    assert_eq!(read, b"node-1\n", "{features} {options:?}");
    let (_, again) = open(&image);
    assert_eq!(content(again.as_ref(), "/new/large file.bin").len(), 3_000_000);
}

/// Makes such a file system and returns why it is refused.
fn refused(features: &str, options: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let ext4 = dir.path().join("ext4");
    std::fs::File::create(&ext4).unwrap().set_len(32 << 20).unwrap();
    run(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-F", "-O", features]).args(options).arg(&ext4));
    let before = std::fs::read(&ext4).unwrap();
    let error = Ext4::open(WritableFile::open(&ext4).unwrap(), NOW).err();
    assert!(std::fs::read(&ext4).unwrap() == before, "{features}: it was written to");
    match error {
        Some(error @ Error::Incompatible { fs: "ext4", .. }) => error.to_string(),
        other => panic!("{features} {options:?}: {other:?}"),
    }
}

#[test]
fn what_neither_program_keeps_is_refused_by_name() {
    let base = "has_journal,dir_index,filetype,extent,sparse_super,64bit,metadata_csum";
    for (feature, name, options) in [
        ("inline_data", "inline_data", &[][..]),
        ("ea_inode", "ea_inode", &[]),
        ("large_dir", "large_dir", &[]),
        ("meta_bg,^resize_inode", "meta_bg", &[]),
        ("casefold", "casefold", &["-E", "encoding=utf8"]),
        ("encrypt", "encrypt", &[]),
        ("mmp", "mmp (tune2fs -O ^mmp removes it)", &[]),
        ("quota", "quota", &[]),
        ("quota,project", "project", &[]),
        ("verity", "verity", &[]),
        ("bigalloc", "bigalloc", &["-C", "16384"]),
        ("^filetype", "no filetype", &[]),
        ("^extent,^64bit", "no extent", &[]),
        ("none,filetype", "no extent", &[]),
        ("metadata_csum", "metadata_csum in inodes of 128 bytes", &["-I", "128"]),
    ] {
        let said = refused(&format!("{base},{feature}"), options);
        assert!(said.contains(name), "{feature}: {said}");
    }
}

#[test]
fn a_journal_on_another_device_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    std::fs::File::create(&journal).unwrap().set_len(16 << 20).unwrap();
    run(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-F", "-b", "4096", "-O", "journal_dev"]).arg(&journal));
    let error = Ext4::open(WritableFile::open(&journal).unwrap(), NOW).err().unwrap();
    assert!(error.to_string().contains("journal_dev"), "{error}");
    // mke2fs takes a block device alone for that; what it leaves is no inode of a journal
    let fs = dir.path().join("fs");
    std::fs::File::create(&fs).unwrap().set_len(16 << 20).unwrap();
    run(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-F"]).arg(&fs));
    run(tool("debugfs", "e2fsprogs").args(["-w", "-R", "set_super_value journal_inum 0"]).arg(&fs));
    let error = Ext4::open(WritableFile::open(&fs).unwrap(), NOW).err().unwrap();
    assert!(error.to_string().contains("a journal on another device"), "{error}");
}

#[test]
fn small_inodes_are_edited() {
    let without_checksums = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
                             sparse_super,large_file,huge_file,dir_nlink";
    kept(without_checksums, &["-I", "128"]);
}

#[test]
fn large_inodes_and_other_geometries_are_edited() {
    kept(UBUNTU, &["-I", "1024"]);
    kept(UBUNTU, &["-b", "2048", "-g", "2048"]);
    kept(UBUNTU, &["-E", "packed_meta_blocks=1"]);
}

#[test]
fn features_that_only_the_kernel_uses_are_kept() {
    let with = |feature: &str| -> &'static str { format!("{UBUNTU},{feature}").leak() };
    kept(with("^has_journal"), &[]);
    kept(with("fast_commit"), &[]);
    kept(with("sparse_super2,^resize_inode"), &[]);
    kept(with("stable_inodes"), &[]);
    kept(with("^dir_index"), &[]);
}

#[test]
fn every_hash_of_directories_is_kept_or_refused_by_the_reader() {
    for algorithm in ["half_md4", "tea"] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for n in 0..3000 {
            images::put(&root.join(format!("etc/many/file-with-a-name-{n}")), "");
        }
        images::put(&root.join("etc/hostname"), "ubuntu\n");
        let options = &["-E", "hash_seed=e2b4d8a0-0001-4444-8888-123456789abc"];
        let (image, places) = Spec { ext4_mib: 128, options, ..Spec::default() }.make_from(dir.path(), &root);
        let ext4 = dir.path().join("p2");
        images::extract(&image, places.root, &ext4);
        let tune =
            tool("tune2fs", "e2fsprogs").args(["-E", &format!("hash_alg={algorithm}")]).arg(&ext4).output();
        assert!(tune.unwrap().status.success());
        images::splice(&ext4, &image, places.root.0);
        images::index_directories(&image, places);
        let (boot, fs) = open(&image);
        for n in 0..50 {
            fs.write(&path(&format!("/etc/many/added-{n}")), &mut &b"x"[..], ROOT).unwrap();
        }
        boot.finish().unwrap();
        fs.finish().unwrap();
        images::assert_clean(&image, places);
        images::extract(&image, places.root, &ext4);
        let view = Ext4View::open(FileDevice::open(&ext4).unwrap()).unwrap();
        assert!(view.metadata(&path("/etc/many/added-7")).unwrap().is_some(), "{algorithm}");
    }
}
