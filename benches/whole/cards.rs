//! Cards, written by pibake and by the programs that people write cards with; the card is a loop
//! device, so that no reader sets the pace.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::copies::{PIBAKE, in_turn, shell};
use crate::process::Run;
use crate::report::{Report, Row};
use crate::support::{run, tool};
use crate::work::{Work, clear};

/// Size of a card in bytes: one that holds the large base.
const CARD: u64 = 4 << 30;

/// A loop device over a file.
struct Card {
    device: PathBuf,
}

impl Card {
    /// One whose blocks are all there, as those of a card are: times are taken with it.
    fn whole(dir: &Path, name: &str) -> Self {
        let card = File::create(dir.join(name)).expect("a file for a card");
        rustix::fs::fallocate(&card, rustix::fs::FallocateFlags::empty(), 0, CARD).expect("room for a card");
        Self::over(&dir.join(name))
    }

    /// One that takes no more room than what is written to it.
    fn sparse(dir: &Path, name: &str) -> Self {
        let card = File::create(dir.join(name)).expect("a file for a card");
        card.set_len(CARD).expect("the size of a card");
        Self::over(&dir.join(name))
    }

    fn over(file: &Path) -> Self {
        let device = run(tool("losetup", "mount").args(["--find", "--show", "--direct-io=on"]).arg(file));
        Self { device: device.trim().into() }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let done = tool("losetup", "mount").arg("--detach").arg(&self.device).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still attached", self.device.display());
        }
    }
}

/// `pibake flash` of one image to some cards, asked and answered: a loop device has no serial number,
/// so the answer is the end of its size.
fn flash(dir: &Path, image: &Path, cards: &[Card], flags: &str) -> Run {
    let answer = CARD % 10_000;
    let devices: Vec<String> = cards.iter().map(|card| card.device.display().to_string()).collect();
    let answers = format!("{answer:04}\n").repeat(cards.len());
    let script = format!(
        "printf '{}' | \"$1\" flash -q --allow-fixed --image \"$2\" {flags} {}",
        answers.replace('\n', "\\n"),
        devices.join(" ")
    );
    shell(dir, &script, &[Path::new(PIBAKE), image])
}

/// One card, and four at once.
pub fn cards(work: &Work, report: &mut Report) {
    const WRITE: &str = "one card, write only";
    const CHECKED: &str = "one card, written and read back";
    if !rustix::process::geteuid().is_root() {
        report.skip(WRITE, "loop devices need root");
        return;
    }
    let base = work.large();
    let scratch = work.scratch();
    let dir = scratch.path().join("images");
    clear(&dir);
    crate::copies::build(&dir, &base.raw, &scratch.path().join("cache"), 1, "raw");
    let image = dir.join("images/node-1.img");
    let map = dir.join("node-1.bmap");
    run(tool("bmaptool", "bmap-tools").arg("create").arg("-o").arg(&map).arg(&image));
    let (ours, peer) = (Card::whole(&dir, "ours"), Card::whole(&dir, "peer"));
    let (ours, peer) = ([ours], &peer.device);
    let one = |flags: &str| flash(&dir, &image, &ours, flags);

    let bmap = "bmaptool -q copy --bmap \"$1\" \"$2\" \"$3\"";
    let args: [&Path; 3] = [&map, &image, peer];
    let (a, b) = in_turn(work, || one("--no-verify"), || shell(&dir, bmap, &args));
    report.row(Row::times(WRITE, "bmaptool copy", 1.0, &a, &b));

    let dd = "dd if=\"$2\" of=\"$3\" bs=4M oflag=direct conv=fsync status=none";
    let (a, b) = in_turn(work, || one("--no-verify"), || shell(&dir, dd, &args));
    report.row(Row::times(WRITE, "dd bs=4M oflag=direct conv=fsync", 0.75, &a, &b));

    // past the cache, as pibake's own reading is
    let compared =
        format!("{bmap}; blockdev --flushbufs \"$3\"; cmp -n \"$(stat -c %s \"$2\")\" \"$2\" \"$3\"");
    let (a, b) = in_turn(work, || one(""), || shell(&dir, &compared, &args));
    report.row(Row::times(CHECKED, "bmaptool copy, then cmp", 1.1, &a, &b));

    let many: Vec<Card> = (0..8).map(|n| Card::sparse(&dir, &format!("card-{n}"))).collect();
    let peak: Vec<Run> = (0..work.rounds.min(2)).map(|_| flash(&dir, &image, &many, "")).collect();
    report.row(Row::limit_memory("eight cards, written and read back", 256 << 20, &peak));
}
