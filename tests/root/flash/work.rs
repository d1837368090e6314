//! What the tests of `pibake flash` share: a folder to run it in, and what is asked of cards.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use pibake::disk::{FileDevice, Ranges, ReadAt, partitions};

use crate::loops::Drive;
use support::images::Places;
use support::{run, tool};

pub const MIB: u64 = 1 << 20;
/// A little more than the sample, which is 385 MiB.
pub const CARD: u64 = 420 * MIB;

/// A folder with a cluster and a cache of its own. On the disk: cards are large.
pub struct Work(tempfile::TempDir);

impl Work {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.path()).args(arguments);
        command.env("XDG_CACHE_HOME", self.path().join("cache")).env("SOURCE_DATE_EPOCH", "1700000000");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str], answer: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        // who refuses before asking has closed it
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        child.wait_with_output().unwrap()
    }

    pub fn flash(&self, cards: &[&dyn Drive], arguments: &[&str]) -> Output {
        let answers: String = cards.iter().map(|card| card.answer()).collect();
        self.run(&[&["flash", "--allow-fixed"], arguments].concat(), &answers)
    }

    pub fn build(&self, nodes: &[&str]) {
        let nodes = nodes.iter().flat_map(|n| ["--node", n]);
        let arguments: Vec<&str> = ["build", "--base", "sample"].into_iter().chain(nodes).collect();
        succeeded(&self.run(&arguments, ""));
    }

    pub fn image(&self, node: &str) -> PathBuf {
        self.path().join(format!("images/{node}.img"))
    }
}

pub fn said(out: &Output) -> String {
    format!(
        "{}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

pub fn succeeded(out: &Output) {
    assert!(out.status.success(), "{}", said(out));
}

pub fn failed(out: &Output, code: i32, words: &str) {
    assert_eq!(out.status.code(), Some(code), "{}", said(out));
    assert!(said(out).contains(words), "{words:?} is not in {}", said(out));
}

/// Every block that the image's file systems use is on the card as it is in the image.
pub fn assert_same(card: &dyn Drive, image: &Path) {
    let device: Arc<dyn ReadAt> = Arc::new(FileDevice::open(image).unwrap());
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

pub fn places(image: &Path) -> Places {
    let (_, found) = partitions(&FileDevice::open(image).unwrap()).unwrap();
    Places { boot: (found[0].offset, found[0].len), root: (found[1].offset, found[1].len) }
}

/// What the kernel reads from a file of the root partition.
pub fn kernel_reads(work: &Work, card: &Path, path: &str) -> String {
    let (offset, len) = places(card).root;
    let at = work.path().join("mounted");
    std::fs::create_dir_all(&at).unwrap();
    let options = format!("ro,loop,offset={offset},sizelimit={len}");
    run(tool("mount", "mount").args(["-t", "ext4", "-o", &options]).arg(card).arg(&at));
    let text = std::fs::read_to_string(at.join(path));
    run(tool("umount", "mount").arg(&at));
    text.unwrap()
}
