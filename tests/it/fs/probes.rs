//! What is found on drives, held against blkid.

use std::os::unix::fs::FileExt;
use std::path::Path;

use pibake::disk::{FileDevice, ReadAt};
use pibake::fs::probe::{Probed, probe};

use rand::RngExt;
use support::{noise, run, tool};

fn blank(dir: &Path, mib: u64) -> std::path::PathBuf {
    let file = dir.join("drive");
    std::fs::File::create(&file).unwrap().set_len(mib << 20).unwrap();
    file
}

fn probed(file: &Path) -> Option<Probed> {
    probe(&FileDevice::open(file).unwrap()).unwrap()
}

/// What blkid says of a file: its type and label.
fn blkid(file: &Path) -> (Option<String>, Option<String>) {
    let said = |key: &str| {
        let mut blkid = tool("blkid", "util-linux");
        let out = blkid.args(["-p", "-o", "value", "-s", key]).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    (said("TYPE").or_else(|| said("PTTYPE")), said("LABEL"))
}

#[test]
fn every_kind_is_found_as_blkid_finds_it() {
    // program, its package, arguments before the file, size in MiB, the label
    let makers: [(&str, &str, &[&str], u64, &str); 19] = [
        ("mkfs.ext4", "e2fsprogs", &["-q", "-F", "-L", "FAMILY_PHOTOS"], 16, "FAMILY_PHOTOS"),
        ("mkfs.ext4", "e2fsprogs", &["-q", "-F", "-b", "1024", "-L", "small"], 16, "small"),
        ("mke2fs", "e2fsprogs", &["-q", "-F", "-t", "ext3", "-L", "three"], 16, "three"),
        ("mke2fs", "e2fsprogs", &["-q", "-F", "-t", "ext2", "-L", "two"], 16, "two"),
        ("mke2fs", "e2fsprogs", &["-q", "-F", "-O", "journal_dev", "-b", "4096", "-L", "log"], 16, "log"),
        ("mkfs.vfat", "dosfstools", &["-F", "32", "-n", "PICS"], 40, "PICS"),
        ("mkfs.vfat", "dosfstools", &["-F", "16", "-n", "SIXTEEN"], 20, "SIXTEEN"),
        ("mkfs.vfat", "dosfstools", &["-F", "12", "-n", "TWELVE"], 2, "TWELVE"),
        ("mkfs.exfat", "exfatprogs", &["-L", "Camera Ä"], 16, "Camera Ä"),
        ("mkfs.ntfs", "ntfs-3g", &["-q", "-F", "-Q", "-L", "Windows ü"], 16, "Windows ü"),
        ("mkfs.btrfs", "btrfs-progs", &["-q", "-L", "pool"], 256, "pool"),
        ("mkfs.xfs", "xfsprogs", &["-q", "-L", "archive"], 512, "archive"),
        ("mkfs.f2fs", "f2fs-tools", &["-q", "-l", "flash"], 64, "flash"),
        ("mkswap", "util-linux", &["-q", "-L", "swap"], 16, "swap"),
        ("mkswap", "util-linux", &["-q", "-p", "65536", "-L", "swap64"], 16, "swap64"),
        ("mksquashfs", "squashfs-tools", &[], 0, ""),
        ("genisoimage", "genisoimage", &[], 0, "DISC"),
        ("cryptsetup", "cryptsetup-bin", &[], 32, "vault"),
        ("cryptsetup1", "cryptsetup-bin", &[], 32, ""),
    ];
    for (program, package, arguments, mib, label) in makers {
        let dir = tempfile::tempdir().unwrap();
        let file = blank(dir.path(), mib);
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join("file"), "text").unwrap();
        match program {
            "mksquashfs" => {
                std::fs::remove_file(&file).unwrap();
                run(tool(program, package).arg(&tree).arg(&file).args(["-no-progress", "-quiet"]))
            }
            "genisoimage" => {
                run(tool(program, package).args(["-quiet", "-V", label, "-o"]).arg(&file).arg(&tree))
            }
            "cryptsetup" | "cryptsetup1" => {
                let key = dir.path().join("key");
                std::fs::write(&key, "a secret").unwrap();
                let kind: &[&str] = if label.is_empty() {
                    &["--type", "luks1"]
                } else {
                    &["--type", "luks2", "--label", label]
                };
                let pbkdf = ["-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file"];
                run(tool("cryptsetup", package).arg("luksFormat").args(kind).args(pbkdf).arg(&key).arg(&file))
            }
            _ => run(tool(program, package).args(arguments).arg(&file)),
        };
        let found = probed(&file).unwrap_or_else(|| panic!("{program} {arguments:?}: nothing was found"));
        assert_eq!(found.label.as_deref().unwrap_or_default(), label, "{program} {arguments:?}");
        let ours = (Some(found.kind.to_owned()), found.label);
        assert_eq!(ours, blkid(&file), "{program} {arguments:?}");
    }
}

#[test]
fn marks_of_volumes_and_arrays_are_found_as_blkid_finds_them() {
    let forged = |at: u64, bytes: &[u8], kind: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = blank(dir.path(), 16);
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all_at(bytes, at).unwrap();
        assert_eq!(probed(&file).map(|p| p.kind), Some(kind), "{kind} at {at}");
    };
    let lvm = b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001";
    for sector in 0..4 {
        forged(sector * 512, lvm, "LVM2_member");
    }
    let raid = 0xa92b_4efc_u32.to_le_bytes();
    forged(4096, &raid, "linux_raid_member");
    forged(0, &raid, "linux_raid_member");
    forged((16 << 20) - 0x10000, &raid, "linux_raid_member");
    forged((128 << 10) + 5 * 1024, &0x00ba_b10c_u64.to_le_bytes(), "zfs_member");
    forged(512, b"EFI PART", "gpt");
    forged((16 << 20) - 512, b"EFI PART", "gpt");
    forged(3, b"-FVE-FS-", "BitLocker");
}

#[test]
fn what_is_in_use_is_told_where_it_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("photos"), vec![7; 20 << 20]).unwrap();
    let file = blank(dir.path(), 64);
    run(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-F", "-d"]).arg(&tree).arg(&file));
    let used = probed(&file).unwrap().used.unwrap();
    assert!(((20 << 20)..(34 << 20)).contains(&used), "{used}");
    for (program, package, mib) in [("mkfs.xfs", "xfsprogs", 512_u64), ("mkfs.btrfs", "btrfs-progs", 256)] {
        let file = blank(dir.path(), mib);
        run(tool(program, package).args(["-q", "-f"]).arg(&file));
        let used = probed(&file).unwrap().used.unwrap();
        assert!(used > 0 && used < mib << 20, "{program}: {used}");
    }
}

#[test]
fn tables_tell_what_is_in_their_partitions() {
    for (label, kind) in [("dos", "dos"), ("gpt", "gpt")] {
        let dir = tempfile::tempdir().unwrap();
        let file = blank(dir.path(), 128);
        let table = dir.path().join("table");
        std::fs::write(&table, format!("label: {label}\nstart=2048, size=81920\nstart=83968, size=65536\n"))
            .unwrap();
        run(tool("sfdisk", "fdisk").arg("-q").arg(&file).stdin(std::fs::File::open(&table).unwrap()));
        let part = dir.path().join("part");
        std::fs::File::create(&part).unwrap().set_len(40 << 20).unwrap();
        run(tool("mkfs.vfat", "dosfstools").args(["-F", "32", "-s", "1", "-n", "system-boot"]).arg(&part));
        let whole = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        whole.write_all_at(&std::fs::read(&part).unwrap(), 2048 * 512).unwrap();
        let found = probed(&file).unwrap();
        assert_eq!(found.kind, kind);
        let within: Vec<_> =
            found.partitions.iter().map(|p| p.as_ref().and_then(|p| p.label.clone())).collect();
        assert_eq!(within, [Some("system-boot".to_owned()), None]);
    }
}

#[test]
fn nothing_is_found_where_nothing_is_and_garbage_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    for mib in [0, 1, 16] {
        assert_eq!(probed(&blank(dir.path(), mib)), None);
    }
    let mut noise = noise::noise(1);
    // each magic number with garbage around it, and cut short
    let starts: [(usize, &[u8]); 9] = [
        (3, b"NTFS    "),
        (3, b"EXFAT   "),
        (0, b"XFSB"),
        (0, b"LUKS\xba\xbe\0\x02"),
        (1080, &[0x53, 0xef]),
        (510, &[0x55, 0xaa]),
        (512, b"EFI PART"),
        (0x10040, b"_BHRfS_M"),
        (1024, &[0x10, 0x20, 0xf5, 0xf2]),
    ];
    for round in 0..400 {
        let (at, magic) = starts[round % starts.len()];
        let len = at + magic.len() + noise.random_range(0..140_000);
        let mut bytes = noise::fill(&mut noise, len);
        bytes[at..at + magic.len()].copy_from_slice(magic);
        probe(&crate::writable::Memory(bytes) as &dyn ReadAt).unwrap();
    }
}
