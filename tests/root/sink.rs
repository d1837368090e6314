//! Sinks on file systems of their own: too small ones, and such that can share blocks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use pibake::io::CancelToken;
use pibake::progress::Silent;
use pibake::sink::{Build, Error, Format, Written};

use crate::bases::{expected, hidden, nodes, patch, sparse_base, stream, writes};
use support::{run, tool};

const MIB: u64 = 1 << 20;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("sink::too_little_room_is_found_before", too_little_room_is_found_before),
        Trial::test("sink::a_disk_that_fills_up_meanwhile", a_disk_that_fills_up_meanwhile),
        Trial::test("sink::a_disk_that_fills_up_while_decoding", a_disk_that_fills_up_while_decoding),
        Trial::test("sink::images_on_xfs_share_the_base", || {
            images_share_the_base(tool("mkfs.xfs", "xfsprogs").arg("-q"))
        }),
        Trial::test("sink::images_on_btrfs_share_the_base", || {
            images_share_the_base(tool("mkfs.btrfs", "btrfs-progs").arg("-q"))
        }),
        Trial::test("sink::tmpfs_takes_images", tmpfs_takes_images),
    ]
}

/// A file system in a file, mounted until dropped.
struct Mounted {
    at: PathBuf,
    _work: tempfile::TempDir,
}

impl Mounted {
    fn new(mkfs: &mut std::process::Command, size: u64) -> Self {
        let work = tempfile::tempdir().unwrap();
        let disk = work.path().join("disk");
        std::fs::File::create(&disk).unwrap().set_len(size).unwrap();
        run(mkfs.arg(&disk));
        let at = work.path().join("mounted");
        std::fs::create_dir(&at).unwrap();
        run(tool("mount", "mount").args(["-o", "loop"]).args([&disk, &at]));
        Self { at, _work: work }
    }

    fn ext4(size: u64) -> Self {
        Self::new(tool("mkfs.ext4", "e2fsprogs").args(["-q", "-m", "0"]), size)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = tool("umount", "mount").arg(&self.at).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.at.display());
        }
    }
}

fn free(dir: &Path) -> u64 {
    rustix::fs::sync();
    let room = rustix::fs::statvfs(dir).unwrap();
    room.f_bavail * room.f_frsize
}

fn build(base: &Path, dir: &Path, format: Format, count: usize) -> Result<Vec<Written>, Error> {
    let len = std::fs::metadata(base).unwrap().len();
    let build = Build::prepare(dir, format, nodes(count), None, &CancelToken::default())?;
    build.finish(base, &|node| Ok(patch(base, &writes(node, len))), &Silent)
}

fn too_little_room_is_found_before() -> Result<(), Failed> {
    let disk = Mounted::ext4(100 * MIB);
    let work = tempfile::tempdir()?;
    let base = work.path().join("base.img");
    sparse_base(&base, 200 * MIB, &[(0, 30 << 20)]);
    let dir = disk.at.join("images");
    for format in Format::ALL {
        let before = free(&disk.at);
        let error = build(&base, &dir, format, 9).expect_err("nine images do not fit");
        let Error::NoRoom { needed, free: seen, images: 9, .. } = error else {
            return Err(format!("{format}: {error}").into());
        };
        assert!(needed > seen && seen <= before, "{format}: {needed} {seen} {before}");
        assert_eq!(std::fs::read_dir(&dir)?.count(), 0);
        if format != Format::Xz {
            assert_eq!(build(&base, &dir, format, 2)?.len(), 2, "{format}: two images fit");
        }
        // What is to be replaced is no room.
        if format == Format::Raw {
            assert!(matches!(build(&base, &dir, format, 2), Err(Error::NoRoom { .. })));
            assert_eq!(std::fs::read_dir(&dir)?.count(), 2);
        }
        std::fs::remove_dir_all(&dir)?;
    }
    // A base that stores its zeros needs no room for them.
    std::fs::write(&base, [vec![1; 10 << 20], vec![0; 190 << 20]].concat())?;
    assert_eq!(build(&base, &dir, Format::Raw, 2)?.len(), 2);
    Ok(())
}

fn a_disk_that_fills_up_meanwhile() -> Result<(), Failed> {
    let disk = Mounted::ext4(200 * MIB);
    let work = tempfile::tempdir()?;
    let base = work.path().join("base.img");
    sparse_base(&base, 100 * MIB, &[(0, 20 << 20)]);
    let dir = disk.at.join("images");
    for format in Format::ALL {
        let build = Build::prepare(&dir, format, nodes(2), None, &CancelToken::default())?;
        let filler = disk.at.join("filler");
        let bake = |node: &str| {
            if node == "node-2" {
                let rest = free(&disk.at).saturating_sub(8 * MIB);
                let file = std::fs::File::create(&filler).unwrap();
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, rest).unwrap();
            }
            Ok(patch(&base, &[]))
        };
        let error = build.finish(&base, &bake, &Silent).expect_err("the disk is full");
        let Error::Write { source, .. } = &error else { return Err(format!("{format}: {error}").into()) };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{format}");
        assert_eq!(hidden(&dir), [""; 0], "{format}");
        assert!(!dir.join(format.file_name("node-2")).exists());
        std::fs::remove_file(&filler)?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn a_disk_that_fills_up_while_decoding() -> Result<(), Failed> {
    let disk = Mounted::ext4(64 * MIB);
    let work = tempfile::tempdir()?;
    let base = work.path().join("base.img");
    sparse_base(&base, 100 * MIB, &[(0, 20 << 20)]);
    let dir = disk.at.join("images");
    let mut build = Build::prepare(&dir, Format::Raw, nodes(1), None, &CancelToken::default())?;
    let observer = build.observer(work.path()).ok_or("ext4 shares no blocks")?;
    // A decoder that takes the image for a small one, until it is not.
    stream(observer, &support::noise::bytes(1, 100 << 20), Some(MIB));
    let begun = Instant::now();
    while !hidden(&dir).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the space of {:?} was not given back",
            hidden(&dir)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let written = build.finish(&base, &|_| Ok(patch(&base, &[])), &Silent)?;
    assert!(std::fs::read(&written[0].path)? == std::fs::read(&base)?);
    Ok(())
}

fn images_share_the_base(mkfs: &mut std::process::Command) -> Result<(), Failed> {
    const LEN: u64 = 120 * MIB;
    let disk = Mounted::new(mkfs, 512 * MIB);
    let base = disk.at.join("base.img");
    sparse_base(&base, LEN, &[(0, 60 << 20), (100 * MIB, 5 << 20)]);
    let dir = disk.at.join("images");
    let before = free(&disk.at);
    let mut early = Build::prepare(&dir, Format::Raw, nodes(1), None, &CancelToken::default())?;
    assert!(early.observer(&disk.at).is_none(), "nothing is to be won by writing early");
    drop(early);
    // Copies of so many would not fit.
    let written = build(&base, &dir, Format::Raw, 10)?;
    let used = before.saturating_sub(free(&disk.at));
    assert!(used < 40 * MIB, "ten images took {used} bytes");
    for image in &written {
        let wanted = expected(&base, &writes(&image.node, LEN));
        assert!(std::fs::read(&image.path)? == wanted, "{}", image.node);
    }
    // From elsewhere they cannot be shared: they are copied.
    let work = tempfile::tempdir()?;
    let outside = work.path().join("base.img");
    std::fs::copy(&base, &outside)?;
    let written = build(&outside, &disk.at.join("copies"), Format::Raw, 2)?;
    assert!(std::fs::read(&written[1].path)? == expected(&outside, &writes("node-2", LEN)));
    Ok(())
}

fn tmpfs_takes_images() -> Result<(), Failed> {
    let work = tempfile::tempdir()?;
    let base = work.path().join("base.img");
    sparse_base(&base, 30 * MIB, &[(0, 3 << 20), (20 * MIB, 5 << 20)]);
    let dir = tempfile::tempdir_in("/dev/shm")?;
    let written = build(&base, dir.path(), Format::Raw, 2)?;
    assert!(std::fs::read(&written[0].path)? == expected(&base, &writes("node-1", 30 * MIB)));
    Ok(())
}
