//! What a file system's own account calls used, against those who wrote it: dumpe2fs says the same,
//! and a copy of nothing else is a whole file system.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pibake::disk::{FileDevice, Overlay, Ranges, ReadAt, WriteAt};
use pibake::fs::{Error, ext4, fat};
use rand::RngExt;
use support::images::{UBUNTU, put};
use support::{noise, run, tool};

const MIB: u64 = 1 << 20;

/// A tree with small files, large ones, a sparse one and many directories.
fn tree(dir: &Path) -> PathBuf {
    let root = dir.join("root");
    for n in 0..300 {
        put(&root.join(format!("dir-{}/file-{n}", n % 40)), &format!("{n}\n").repeat(n * 7));
    }
    fs::write(root.join("large"), noise::bytes(1, 9 << 20)).unwrap();
    // written, but all zero: such blocks are in use as well
    fs::write(root.join("zeros"), vec![0; 3 << 20]).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"end", 5 << 20).unwrap();
    root
}

fn ext4_with(dir: &Path, size: u64, features: &str, options: &[&str]) -> PathBuf {
    let image = dir.join("ext4");
    File::create(&image).unwrap().set_len(size).unwrap();
    let root = dir.join("root");
    let root = if root.exists() { root } else { tree(dir) };
    let mut mkfs = tool("mkfs.ext4", "e2fsprogs");
    mkfs.args(["-q", "-F", "-O", features]).args(options).arg("-d").arg(root).arg(&image);
    run(&mut mkfs);
    image
}

/// The bytes that dumpe2fs does not call free, without the inode tables that were never written.
fn by_dumpe2fs(image: &Path) -> Ranges {
    let text = run(tool("dumpe2fs", "e2fsprogs").arg(image));
    let field = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (block, count) = (field("Block size:"), field("Block count:"));
    let mut free = Ranges::new();
    for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("Free blocks: ")) {
        // the superblock's summary has the same words and one number
        for range in line.split(", ").filter(|r| !r.trim().is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.trim().parse().unwrap(), last.trim().parse().unwrap());
            free.insert(first * block..(last + 1) * block);
        }
    }
    // one line of the superblock's begins with the same word
    let groups = text.split("\nGroup ").filter(|group| group.starts_with(|c: char| c.is_ascii_digit()));
    for group in groups {
        let place =
            |line: &str| line.trim_start().strip_prefix("Inode table at ")?.split(' ').next()?.parse().ok();
        let table: Option<String> = group.lines().find_map(place);
        let (first, last) = table.as_deref().unwrap().split_once('-').unwrap();
        let flags = group.lines().next().unwrap();
        if flags.contains("INODE_UNINIT") && !flags.contains("ITABLE_ZEROED") {
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            free.insert(first * block..(last + 1) * block);
        }
    }
    std::iter::once(0..count * block).collect::<Ranges>().without(&free)
}

/// A file of noise with nothing but `used` of `image` in it.
fn copy_of(image: &Path, used: &Ranges, to: &Path) {
    let (from, size) = (FileDevice::open(image).unwrap(), fs::metadata(image).unwrap().len());
    let noise = noise::bytes(99, 1 << 20);
    let out = File::create(to).unwrap();
    for at in (0..size).step_by(1 << 20) {
        out.write_all_at(&noise[..(size - at).min(MIB) as usize], at).unwrap();
    }
    for range in used.iter() {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        from.read_at(range.start, &mut bytes).unwrap();
        out.write_all_at(&bytes, range.start).unwrap();
    }
}

#[test]
fn ext4_as_dumpe2fs_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let uninit = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,\
                  large_file,huge_file,uninit_bg,dir_nlink,extra_isize";
    let plain = "none,ext_attr,filetype,sparse_super";
    let lazy = ["-E", "lazy_itable_init=1"];
    let cases: [(&str, u64, &str, &[&str]); 9] = [
        ("as Ubuntu has it", 400, UBUNTU, &[]),
        ("groups that were never written", 2000, UBUNTU, &lazy),
        ("uninit_bg, as older tools have it", 1200, uninit, &lazy),
        ("no checksums, no extents", 300, plain, &[]),
        ("every group with a superblock", 500, "none,filetype,extent", &[]),
        ("two backups", 600, "none,filetype,extent,sparse_super2,metadata_csum,64bit", &[]),
        ("blocks of 1 KiB", 100, UBUNTU, &["-b", "1024"]),
        ("blocks of 2 KiB and small groups", 200, UBUNTU, &["-b", "2048", "-g", "2048"]),
        ("an odd end", 321, UBUNTU, &["-g", "8192"]),
    ];
    for (what, mib, features, options) in cases {
        let image = ext4_with(dir.path(), mib * MIB + 5 * 4096, features, options);
        let used = ext4::used(&FileDevice::open(&image).unwrap()).unwrap();
        assert_eq!(used, by_dumpe2fs(&image), "{what}");
        assert!(used.total() < fs::metadata(&image).unwrap().len() / 2, "{what}: nothing is free");
        let copy = dir.path().join("copy");
        copy_of(&image, &used, &copy);
        run(tool("e2fsck", "e2fsprogs").arg("-fn").arg(&copy));
        let out = dir.path().join("large");
        let dump = format!("dump /large {}", out.display());
        run(tool("debugfs", "e2fsprogs").args(["-R", &dump]).arg(&copy));
        assert!(fs::read(&out).unwrap() == fs::read(dir.path().join("root/large")).unwrap(), "{what}");
        fs::remove_file(&image).unwrap();
    }
}

#[test]
fn ext4_whose_bitmaps_say_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (features, named) in [("bigalloc,extent,64bit", "bigalloc"), ("meta_bg,^resize_inode", "meta_bg")] {
        let image = ext4_with(dir.path(), 300 * MIB, features, &[]);
        match ext4::used(&FileDevice::open(&image).unwrap()) {
            Err(Error::Incompatible { features, .. }) => assert_eq!(features, named),
            other => panic!("{named}: {other:?}"),
        }
    }
    // a journal that was not written back
    let image = ext4_with(dir.path(), 100 * MIB, UBUNTU, &[]);
    let file = File::options().read(true).write(true).open(&image).unwrap();
    let mut flags = [0; 4];
    file.read_exact_at(&mut flags, 1024 + 0x60).unwrap();
    flags[0] |= 4;
    file.write_all_at(&flags, 1024 + 0x60).unwrap();
    let found = ext4::used(&FileDevice::open(&image).unwrap());
    assert!(matches!(found, Err(Error::NotClean { .. })), "{found:?}");
}

#[test]
fn ext4_that_contradicts_itself_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let image = ext4_with(dir.path(), 100 * MIB, UBUNTU, &[]);
    let base = FileDevice::open(&image).unwrap();
    let mut noise = noise::noise(5);
    let mut errors = 0;
    for n in 0..400 {
        let damaged = Overlay::new(&base);
        // the superblock's numbers, or those of the first groups
        for _ in 0..3 {
            let at = if n % 2 == 0 {
                1024 + noise.random_range(0..0x160)
            } else {
                4096 + noise.random_range(0..1024)
            };
            damaged.write_at(at, &[noise.random()]).unwrap();
        }
        errors += usize::from(ext4::used(&damaged).is_err());
    }
    assert!(errors > 20, "only {errors} of 400 were noticed");
}

#[test]
fn fat_that_is_copied_by_its_table_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let root = tree(dir.path());
    for (bits, mib) in [("32", 256), ("32", 70), ("16", 60)] {
        let image = dir.path().join("fat");
        File::create(&image).unwrap().set_len(mib * MIB).unwrap();
        run(tool("mkfs.vfat", "dosfstools").args(["-F", bits, "-n", "system-boot"]).arg(&image));
        let mcopy = |from: &Path, to: &str| {
            run(tool("mcopy", "mtools").arg("-i").arg(&image).arg(from).arg(to));
        };
        mcopy(&root.join("zeros"), "::gone");
        mcopy(&root.join("large"), "::large");
        run(tool("mmd", "mtools").arg("-i").arg(&image).arg("::folder"));
        mcopy(&root.join("dir-3/file-43"), "::folder/small");
        run(tool("mdel", "mtools").arg("-i").arg(&image).arg("::gone"));
        mcopy(&root.join("zeros"), "::zeros");
        let used = fat::used(&FileDevice::open(&image).unwrap()).unwrap();
        let least = 12 * MIB;
        assert!(used.total() > least && used.total() < least + 4 * MIB, "{bits}: {}", used.total());
        let copy = dir.path().join("copy");
        copy_of(&image, &used, &copy);
        run(tool("fsck.fat", "dosfstools").arg("-n").arg(&copy));
        for name in ["large", "zeros"] {
            let out = dir.path().join("out");
            run(tool("mcopy", "mtools")
                .args(["-n", "-o", "-i"])
                .arg(&copy)
                .arg(format!("::{name}"))
                .arg(&out));
            assert!(fs::read(&out).unwrap() == fs::read(root.join(name)).unwrap(), "{bits} {name}");
        }
    }
}

#[test]
fn what_no_file_system_owns_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = support::images::Spec::default().make(dir.path());
    let file = File::options().write(true).open(&image).unwrap();
    // a boot loader between the table and the first partition
    file.write_all_at(&[7; 100], 8192).unwrap();
    let device: std::sync::Arc<dyn ReadAt> = std::sync::Arc::new(FileDevice::open(&image).unwrap());
    let data: Ranges = [0..512, 8192..8292].into_iter().collect();
    let used = pibake::fs::used(&device, &data).unwrap();
    assert!(used.whole.is_empty());
    let head: Vec<_> = used.ranges.within(0..places.boot.0).collect();
    assert_eq!(head, [0..512, 8192..8292]);
    // a partition that nobody knows is copied whole
    file.write_all_at(&[0; 4096], places.root.0).unwrap();
    let used = pibake::fs::used(&device, &data).unwrap();
    assert_eq!(used.whole.len(), 1);
    let (start, len) = places.root;
    assert!(used.ranges.within(start..start + len).eq(std::iter::once(start..start + len)));
}
