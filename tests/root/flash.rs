//! `pibake flash` on loop devices as cards.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use pibake::disk::{BlockDevice, FileDevice, Ranges, partitions};

use crate::bases::Noise;
use crate::support::images::{Places, assert_clean};
use crate::support::{run, tool};

const MIB: u64 = 1 << 20;
/// A little more than the sample, which is 385 MiB.
const CARD: u64 = 420 * MIB;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("flash::a_card_holds_what_build_makes", || same_as_build(512)),
        Trial::test("flash::a_card_with_sectors_of_4096_bytes_too", || same_as_build(4096)),
        Trial::test("flash::two_cards_at_once_and_one_that_is_too_small", several),
        Trial::test("flash::an_image_that_was_built_before", an_image),
        Trial::test("flash::what_is_in_use_is_refused", in_use),
        Trial::test("flash::what_a_desktop_mounted_is_unmounted", unmounted),
        Trial::test("flash::what_is_no_card_is_refused", no_card),
        Trial::test("flash::without_the_right_answer_nothing_happens", answers),
        Trial::test("flash::errors_of_the_drive", drive_errors),
        Trial::test("flash::killed_or_stopped_at_any_moment", ended),
    ]
}

/// A loop device, detached when dropped.
struct Loop {
    device: PathBuf,
    file: PathBuf,
    size: u64,
}

impl Loop {
    fn new(dir: &Path, name: &str, size: u64, sector: u32) -> Self {
        let file = dir.join(name);
        let card = File::create(&file).unwrap();
        card.set_len(size).unwrap();
        // what was on the card before, everywhere: whatever is not written shows
        let before: Vec<u8> = Noise(size).bytes(1 << 20);
        for at in (0..size).step_by(1 << 20) {
            let n = (size - at).min(1 << 20) as usize;
            card.write_all_at(&before[..n], at).unwrap();
        }
        let device = run(tool("losetup", "mount")
            .args(["--find", "--show", "--sector-size", &sector.to_string()])
            .arg(&file));
        Self { device: device.trim().into(), file, size }
    }

    fn name(&self) -> &str {
        self.device.to_str().unwrap()
    }

    /// The answer that `pibake flash` asks for: a loop device has no serial number.
    fn answer(&self) -> String {
        let size = self.size.to_string();
        format!("{}\n", &size[size.len() - 4..])
    }

    fn head(&self) -> Vec<u8> {
        self.bytes(0, MIB as usize)
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let device = File::open(&self.device).unwrap();
        rustix::fs::fadvise(&device, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut bytes = vec![0; len];
        device.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn is_as_before(&self) -> bool {
        let before = Noise(self.size).bytes(1 << 20);
        (0..self.size).step_by(1 << 20).all(|at| {
            let n = (self.size - at).min(1 << 20) as usize;
            self.bytes(at, n) == before[..n]
        })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let done = tool("losetup", "mount").arg("--detach").arg(&self.device).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still attached", self.device.display());
        }
    }
}

/// A folder with a cluster and a cache of its own. On the disk: cards are large.
struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.path()).args(arguments);
        command.env("XDG_CACHE_HOME", self.path().join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], answer: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        // who refuses before asking has closed it
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn flash(&self, cards: &[&Loop], arguments: &[&str]) -> Output {
        let answers: String = cards.iter().map(|card| card.answer()).collect();
        self.run(&[&["flash", "--allow-fixed"], arguments].concat(), &answers)
    }

    fn build(&self, nodes: &[&str]) {
        let nodes = nodes.iter().flat_map(|n| ["--node", n]);
        let arguments: Vec<&str> = ["build", "--base", "sample"].into_iter().chain(nodes).collect();
        succeeded(&self.run(&arguments, ""));
    }

    fn image(&self, node: &str) -> PathBuf {
        self.path().join(format!("images/{node}.img"))
    }
}

fn said(out: &Output) -> String {
    format!(
        "{}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

fn succeeded(out: &Output) {
    assert!(out.status.success(), "{}", said(out));
}

fn failed(out: &Output, code: i32, words: &str) {
    assert_eq!(out.status.code(), Some(code), "{}", said(out));
    assert!(said(out).contains(words), "{words:?} is not in {}", said(out));
}

/// Every block that the image's file systems use is on the card as it is in the image.
fn assert_same(card: &Loop, image: &Path) {
    let device: Arc<dyn BlockDevice> = Arc::new(FileDevice::open_read_only(image).unwrap());
    let data: Ranges = std::iter::once(0..MIB).collect();
    let used = pibake::fs::used(&device, &data).unwrap();
    assert!(used.whole.is_empty(), "{:?}", used.whole);
    assert!(used.ranges.total() > 5 * MIB, "{}", used.ranges.total());
    for range in used.ranges.iter() {
        for at in range.clone().step_by(MIB as usize) {
            let len = (range.end - at).min(MIB) as usize;
            let mut wanted = vec![0; len];
            device.read_at(at, &mut wanted).unwrap();
            assert!(card.bytes(at, len) == wanted, "bytes from {at} on differ");
        }
    }
}

fn places(image: &Path) -> Places {
    let (_, found) = partitions(&FileDevice::open_read_only(image).unwrap()).unwrap();
    Places { boot: (found[0].offset, found[0].len), root: (found[1].offset, found[1].len) }
}

/// What the kernel reads from a file of the root partition.
fn kernel_reads(work: &Work, card: &Path, path: &str) -> String {
    let (offset, len) = places(card).root;
    let at = work.path().join("mounted");
    std::fs::create_dir_all(&at).unwrap();
    let options = format!("ro,loop,offset={offset},sizelimit={len}");
    run(tool("mount", "mount").args(["-t", "ext4", "-o", &options]).arg(card).arg(&at));
    let text = std::fs::read_to_string(at.join(path));
    run(tool("umount", "mount").arg(&at));
    text.unwrap()
}

fn same_as_build(sector: u32) -> Result<(), Failed> {
    let work = Work::new();
    // the first one is begun while the base is decoded, the second comes from the cache
    let card = Loop::new(work.path(), "card", CARD, sector);
    let out = work.flash(&[&card], &[card.name(), "--base", "sample", "--node", "1"]);
    succeeded(&out);
    assert!(said(&out).contains("node-1"), "{}", said(&out));
    let again = Loop::new(work.path(), "again", CARD, sector);
    succeeded(&work.flash(&[&again], &[again.name(), "--base", "sample", "--node", "1"]));
    work.build(&["1"]);
    for card in [&card, &again] {
        assert_same(card, &work.image("node-1"));
        let copy = work.path().join("copy");
        std::fs::copy(&card.file, &copy)?;
        assert_clean(&copy, places(&copy));
        assert_eq!(kernel_reads(&work, &copy, "etc/hostname"), "node-1\n");
        let read = work.run(&["inspect", card.name(), "/etc/hostname"], "");
        assert_eq!(String::from_utf8_lossy(&read.stdout), "node-1\n");
    }
    // what was free is as it was on the card before: it was not written
    let written = card.bytes(0, CARD as usize);
    let before = Noise(CARD).bytes(1 << 20);
    let kept =
        written.chunks(1 << 16).enumerate().filter(|(n, b)| before[(n % 16) << 16..].starts_with(b)).count();
    assert!(kept > 4000, "only {kept} pieces of 64 KiB were left alone");
    if sector == 512 {
        let full = Loop::new(work.path(), "full", CARD, sector);
        let by_sector = ["--base", "sample", "--node", "node-1", "--full", "--wipe", "--json"];
        let out = work.flash(&[&full], &[&[full.name()], &by_sector[..]].concat());
        succeeded(&out);
        let image = std::fs::read(work.image("node-1"))?;
        assert!(full.bytes(0, image.len()) == image, "not every byte is the image's");
        let rest = full.bytes(image.len() as u64, (CARD as usize) - image.len());
        let left = rest.chunks(4096).filter(|block| block.iter().any(|b| *b != 0)).count();
        assert!(left < 10, "{left} blocks are not wiped");
        assert!(said(&out).contains("\"done\": true"), "{}", said(&out));
    }
    Ok(())
}

fn several() -> Result<(), Failed> {
    let work = Work::new();
    let a = Loop::new(work.path(), "a", CARD, 512);
    let b = Loop::new(work.path(), "b", CARD, 512);
    let small = Loop::new(work.path(), "small", 100 * MIB, 512);
    let ask = |card: &Loop, node: &str| format!("{}={node}", card.name());
    let arguments = [ask(&a, "1"), ask(&small, "3"), ask(&b, "node-2")];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--base", "sample"]).collect();
    let out = work.flash(&[&a, &small, &b], &arguments);
    failed(&out, 1, "is too small: it has 104857600 bytes");
    assert!(small.is_as_before(), "said before anything is written");
    work.build(&["1", "2"]);
    assert_same(&a, &work.image("node-1"));
    assert_same(&b, &work.image("node-2"));
    let twice = [ask(&a, "1"), ask(&b, "1")];
    failed(&work.flash(&[], &[&twice[0], &twice[1], "--base", "sample"]), 2, "every node is there once");
    let same = [ask(&a, "1"), ask(&a, "2")];
    let out = work.flash(&[], &[&same[0], &same[1], "--base", "sample"]);
    // the first is held already when the second is asked for
    assert!(matches!(out.status.code(), Some(2 | 4)), "{}", said(&out));
    failed(&work.flash(&[], &[a.name(), "--base", "sample"]), 2, "which node");
    Ok(())
}

fn an_image() -> Result<(), Failed> {
    let work = Work::new();
    work.build(&["2"]);
    let image = work.image("node-2");
    let card = Loop::new(work.path(), "card", CARD, 512);
    succeeded(&work.flash(&[&card], &[card.name(), "--image", image.to_str().unwrap()]));
    assert_same(&card, &image);
    // an image that no node was made of is never written
    let plain = work.path().join("plain.img");
    let cached = std::fs::read_dir(work.path().join("cache/pibake/images"))?;
    let base = cached.map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "img")).unwrap();
    std::fs::copy(base, &plain)?;
    let other = Loop::new(work.path(), "other", CARD, 512);
    failed(&work.flash(&[&other], &[other.name(), "--image", "plain.img"]), 1, "is not the image of a node");
    let small = Loop::new(work.path(), "small", 100 * MIB, 512);
    failed(&work.flash(&[&small], &[small.name(), "--image", image.to_str().unwrap()]), 4, "too small");
    assert!(other.is_as_before() && small.is_as_before());
    Ok(())
}

fn in_use() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", 64 * MIB, 512);
    let refused = |words: &str| {
        let before = std::fs::read(&card.file).unwrap();
        failed(&work.flash(&[&card], &[card.name(), "--base", "sample", "--node", "1"]), 4, words);
        assert!(std::fs::read(&card.file).unwrap() == before, "it was written to: {words}");
        let listed = work.run(&["drives"], "");
        succeeded(&listed);
        String::from_utf8_lossy(&listed.stdout).into_owned()
    };

    // a file system is mounted
    run(tool("mkfs.ext4", "e2fsprogs").arg("-qF").arg(&card.device));
    let at = work.path().join("mounted");
    std::fs::create_dir(&at)?;
    run(tool("mount", "mount").arg(&card.device).arg(&at));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused("mounted on")));
    run(tool("umount", "mount").arg(&at));
    let listed = listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(listed.lines().any(|l| l.starts_with(card.name()) && l.contains("no: mounted on")), "{listed}");

    // memory is swapped to it
    run(tool("mkswap", "util-linux").arg(&card.device));
    run(tool("swapon", "mount").arg(&card.device));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused("swap")));
    run(tool("swapoff", "mount").arg(&card.device));
    listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));

    // another process holds it
    let exclusive = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::EXCL.bits().cast_signed())
        .open(&card.device)?;
    refused("is held by another program");
    drop(exclusive);

    // another process writes to it
    let writing = OpenOptions::new().write(true).open(&card.device)?;
    refused("open in");
    drop(writing);

    // a loop device lies on it
    let above = run(tool("losetup", "mount").args(["--find", "--show"]).arg(&card.device));
    let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| refused("held by loop")));
    run(tool("losetup", "mount").arg("--detach").arg(above.trim()));
    listed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));

    // pibake's own things lie on it
    run(tool("mkfs.ext4", "e2fsprogs").arg("-qF").arg(&card.device));
    run(tool("mount", "mount").arg(&card.device).arg(&at));
    let out = work
        .command(&["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"])
        .env("XDG_CACHE_HOME", &at)
        .output();
    run(tool("umount", "mount").arg(&at));
    failed(&out?, 4, "holds pibake's cache");
    Ok(())
}

/// A folder in which a desktop mounts, removed when dropped.
struct Media(PathBuf);

impl Media {
    fn new() -> Self {
        let at = PathBuf::from(format!("/media/pibake-test-{}", std::process::id()));
        std::fs::create_dir_all(&at).unwrap();
        Self(at)
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        let _ = tool("umount", "mount").arg(&self.0).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn unmounted() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", CARD, 512);
    run(tool("mkfs.ext4", "e2fsprogs").arg("-qF").arg(&card.device));
    let media = Media::new();
    run(tool("mount", "mount").arg(&card.device).arg(&media.0));
    let node = [card.name(), "--base", "sample", "--node", "1"];
    failed(&work.flash(&[&card], &node), 4, "(--unmount unmounts it)");
    // one that is busy stays, and nothing is written
    let busy = File::create(media.0.join("busy"))?;
    let out = work.flash(&[&card], &[&node[..], &["--unmount"]].concat());
    failed(&out, 1, "nothing was written");
    drop(busy);
    assert!(media.0.join("busy").exists(), "it was unmounted by force");
    succeeded(&work.flash(&[&card], &[&node[..], &["--unmount"]].concat()));
    assert!(!media.0.join("busy").exists());
    work.build(&["1"]);
    assert_same(&card, &work.image("node-1"));
    Ok(())
}

fn no_card() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", 64 * MIB, 512);
    let node = ["--base", "sample", "--node", "1"];
    let flash = |path: &str| work.run(&[&["flash", path], &node[..]].concat(), "");
    failed(&flash(card.name()), 4, "only with --allow-fixed: a loop device");
    std::fs::write(work.path().join("file"), "mine")?;
    failed(&flash("./file"), 4, "is a regular file");
    assert_eq!(std::fs::read_to_string(work.path().join("file"))?, "mine");
    failed(&flash("/dev/null"), 4, "is a character device");
    failed(&flash("."), 4, "is a folder");
    failed(&flash("/dev/sdzz"), 4, "is not there");
    assert!(!Path::new("/dev/sdzz").exists(), "a mistyped name must not become a file");
    assert!(card.is_as_before());
    // the lock switch
    run(tool("blockdev", "util-linux").arg("--setro").arg(&card.device));
    let out = work.flash(&[&card], &[&[card.name()], &node[..]].concat());
    run(tool("blockdev", "util-linux").arg("--setrw").arg(&card.device));
    failed(&out, 4, "read-only");
    Ok(())
}

fn answers() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::new(work.path(), "card", CARD, 512);
    let flash = |more: &[&str], answer: &str| {
        let node = ["flash", "--allow-fixed", "--base", "sample", "--node", "1"];
        work.run(&[&node[..], more].concat(), answer)
    };
    for answer in ["", "\n", "yes\n", "y\n", "0000 \n", "12345\n"] {
        failed(&flash(&[card.name()], answer), 4, "stays as it is; nothing was written");
    }
    failed(&flash(&[card.name(), "--yes"], ""), 4, "must be named by its link in /dev/disk/by-id");
    assert!(card.is_as_before());
    // scripts name the drive by a link that stays the same
    let link = Link::new(&card);
    let out = flash(&[link.0.to_str().unwrap(), "--yes"], "");
    succeeded(&out);
    assert!(said(&out).contains(&format!("{} ({})", card.name(), link.0.display())), "{}", said(&out));
    work.build(&["1"]);
    assert_same(&card, &work.image("node-1"));
    Ok(())
}

/// A link as udev makes them, removed when dropped.
struct Link(PathBuf);

impl Link {
    fn new(card: &Loop) -> Self {
        std::fs::create_dir_all("/dev/disk/by-id").unwrap();
        let link = PathBuf::from(format!("/dev/disk/by-id/pibake-test-{}", std::process::id()));
        std::os::unix::fs::symlink(&card.device, &link).unwrap();
        Self(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A drive that answers with errors: strace puts them into the place of what the kernel answers.
fn drive_errors() -> Result<(), Failed> {
    let work = Work::new();
    work.build(&["1"]);
    let card = Loop::new(work.path(), "card", CARD, 512);
    for (call, number, code) in [
        ("pwrite64", "5", 1),
        ("pwrite64", "30", 1),
        ("pwrite64", "32+", 1),
        ("fdatasync", "2", 1),
        ("fallocate", "3", 1),
        ("pread64", "60+", 3),
    ] {
        let mut traced = tool("strace", "strace");
        traced.args(["-f", "-o"]).arg(work.path().join("trace")).arg("-P").arg(&card.device);
        let inject = format!("inject={call}:error=EIO:when={number}");
        traced.args(["-e", &format!("trace={call}"), "-e", &inject]).arg(env!("CARGO_BIN_EXE_pibake"));
        traced.args(["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"]);
        traced.current_dir(work.path()).env("XDG_CACHE_HOME", work.path().join("cache"));
        traced.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = traced.spawn()?;
        child.stdin.take().ok_or("no stdin")?.write_all(card.answer().as_bytes())?;
        let out = child.wait_with_output()?;
        if out.status.success() {
            // the count of calls is each thread's own: one that never made so many goes unhurt
            assert_same(&card, &work.image("node-1"));
            return Err(format!("{call} {number} hit nothing").into());
        }
        assert_eq!(out.status.code(), Some(code), "{call} {number}: {}", said(&out));
        assert!(card.head().iter().all(|b| *b == 0), "{call} {number}: it looks as if it would boot");
        assert!(said(&out).contains("its first MiB is zero"), "{}", said(&out));
    }
    Ok(())
}

fn ended() -> Result<(), Failed> {
    let work = Work::new();
    work.build(&["1"]);
    let image = work.image("node-1");
    let card = Loop::new(work.path(), "card", CARD, 512);
    let neighbour = Loop::new(work.path(), "neighbour", 32 * MIB, 512);
    let arguments = ["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"];
    let start = || -> Child {
        let mut child = work.command(&arguments).spawn().unwrap();
        child.stdin.take().unwrap().write_all(card.answer().as_bytes()).unwrap();
        child
    };
    let begun = Instant::now();
    let out = start().wait_with_output()?;
    succeeded(&out);
    let whole = begun.elapsed();
    let mut noise = Noise(4711);
    let (mut half, mut untouched) = (0, 0);
    for n in 0..50 {
        // something that looks like a card that boots, so that leaving it alone is seen
        let before = card.head();
        if n % 5 == 0 {
            // without a cached base the card is begun while that is decoded
            std::fs::remove_dir_all(work.path().join("cache"))?;
        }
        let child = start();
        std::thread::sleep(whole.mul_f64((noise.next() % 1000) as f64 / 900.0));
        let signal = if n % 2 == 0 { rustix::process::Signal::KILL } else { rustix::process::Signal::INT };
        let pid = rustix::process::Pid::from_child(&child);
        // it may have ended by itself
        let _ = rustix::process::kill_process(pid, signal);
        let out = child.wait_with_output()?;
        let (status, errors) = (out.status, said(&out));
        let head = card.head();
        if status.success() {
            assert_same(&card, &image);
        } else if head.iter().all(|b| *b == 0) {
            half += 1;
            if status.code().is_some() {
                assert!(errors.contains("its first MiB is zero"), "{errors}");
            }
        } else {
            // not begun, or whole but for the last word
            untouched += usize::from(head == before);
            assert!(head == before, "the first MiB is neither zero nor whole");
            assert_same(&card, &image);
        }
        if head.iter().all(|b| *b == 0) {
            // the card that the next run finds
            succeeded(&start().wait_with_output()?);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(half >= 5, "only {half} runs were ended in their middle, {untouched} before or after");
    assert!(neighbour.is_as_before(), "a drive that was not meant was written");
    assert_same(&card, &image);
    Ok(())
}
