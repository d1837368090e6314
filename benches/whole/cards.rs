//! Cards, written by pibake and by the programs that people write cards with. The card is a loop
//! device, so that no reader sets the pace; where several are written at once, each is as slow as
//! a reader.

use std::path::{Path, PathBuf};

use crate::copies::{PIBAKE, in_turn};
use crate::limits::Limits;
use crate::loops::{CARD, Card};
use crate::peers::Peer;
use crate::process::{self, Run, shell};
use crate::report::{Report, Row};
use crate::work::{Work, clear};
use support::{run, tool};

/// What a card of a good kind in a good reader takes and gives, in bytes a second.
pub const RATE: u64 = 80_000_000;
/// The limit of memory in bytes, whatever is written to however many cards.
pub const MEMORY: u64 = 256 << 20;
/// Cards for the peak of memory.
pub const MANY: usize = 8;

/// What `pibake flash` writes.
#[derive(Clone, Copy)]
pub enum What<'a> {
    /// An image that was built before.
    Image(&'a Path),
    /// The nodes from the first on, of this base.
    Nodes(&'a Path),
}

/// Where cards are written from: a folder with a cluster, a cache, an image of a node.
pub struct Desk {
    dir: PathBuf,
    pub cache: PathBuf,
    pub image: PathBuf,
}

impl Desk {
    pub fn new(work: &Work, scratch: &Path) -> Self {
        let dir = scratch.join("images");
        let cache = scratch.join("cache");
        clear(&dir);
        // also puts down the digest of the base, which is read but once
        crate::copies::build(&dir, &work.large().raw, &cache, 1, "raw");
        Self { image: dir.join("images/node-1.img"), cache, dir }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs `pibake flash`, asked and answered: a loop device has no serial number, so the answer is
    /// the end of its size. Where `limits` are given, it keeps to them.
    pub fn flash(&self, what: What, cards: &[Card], flags: &str, limits: Option<&Limits>) -> Run {
        let answers = format!("{:04}\\n", CARD % 10_000).repeat(cards.len());
        let devices = cards.iter().enumerate().map(|(n, card)| match what {
            What::Image(_) => card.device.display().to_string(),
            What::Nodes(_) => format!("{}={}", card.device.display(), n + 1),
        });
        let devices = devices.collect::<Vec<_>>().join(" ");
        let (source, path) = match what {
            What::Image(path) => ("--image \"$2\"".to_owned(), path),
            What::Nodes(path) => (format!("--nodes {} --base \"$2\"", cards.len()), path),
        };
        let enter = limits.map_or("", |_| "echo $$ > \"$3\"; ");
        let script =
            format!("{enter}printf '{answers}' | \"$1\" flash -q --allow-fixed {source} {flags} {devices}");
        let processes = limits.map_or_else(PathBuf::new, Limits::processes);
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let arguments =
            ["-ec".to_owned(), script, "sh".to_owned(), PIBAKE.to_owned(), text(path), text(&processes)];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        process::run(&self.dir, "/bin/sh", &arguments, &[("XDG_CACHE_HOME", &self.cache)])
    }
}

/// One card, four at once, eight at once.
pub fn cards(work: &Work, report: &mut Report) {
    if !rustix::process::geteuid().is_root() {
        report.skip("cards", "loop devices need root");
        return;
    }
    let scratch = work.scratch();
    let desk = Desk::new(work, scratch.path());
    one(work, &desk, report);
    several(work, &desk, report, scratch.path());
    many(work, &desk, report);
}

/// One card that is as fast as the disk.
fn one(work: &Work, desk: &Desk, report: &mut Report) {
    const WRITE: &str = "one card, write only";
    const CHECKED: &str = "one card, written and read back";
    let (dir, image) = (desk.dir(), &desk.image);
    let map = dir.join("node-1.bmap");
    run(tool("bmaptool", "bmap-tools").arg("create").arg("-o").arg(&map).arg(image));
    let (ours, peer) = ([Card::whole(dir, "ours")], Card::whole(dir, "peer"));
    let ours = |flags: &str| desk.flash(What::Image(image), &ours, flags, None);
    let args: [&Path; 3] = [&map, image, &peer.device];

    let bmap = "bmaptool -q copy --bmap \"$1\" \"$2\" \"$3\"";
    let (a, b) = in_turn(work, || ours("--no-verify"), || shell(dir, bmap, &args));
    report.row(Row::times(WRITE, "bmaptool copy", 1.0, &a, &b));

    let dd = "dd if=\"$2\" of=\"$3\" bs=4M oflag=direct conv=fsync status=none";
    let (a, b) = in_turn(work, || ours("--no-verify"), || shell(dir, dd, &args));
    report.row(Row::times(WRITE, "dd bs=4M oflag=direct conv=fsync", 0.75, &a, &b));

    // past the cache, as pibake's own reading is
    let compared =
        format!("{bmap}; blockdev --flushbufs \"$3\"; cmp -n \"$(stat -c %s \"$2\")\" \"$2\" \"$3\"");
    let (a, b) = in_turn(work, || ours(""), || shell(dir, &compared, &args));
    report.row(Row::times(CHECKED, "bmaptool copy, then cmp", 1.1, &a, &b));

    for program in Peer::able(work, dir, image, &peer.device, report) {
        let (what, flags) = if program.reads_back() { (CHECKED, "") } else { (WRITE, "--no-verify") };
        let (a, b) = in_turn(work, || ours(flags), || program.write(dir, image, &peer.device));
        report.row(Row::times(what, &program.name(), None, &a, &b));
    }
}

/// Four nodes to four cards, beside one, where the cards set the pace.
fn several(work: &Work, desk: &Desk, report: &mut Report, scratch: &Path) {
    const NAME: &str = "four cards of 80 MB/s at once, written and read back";
    let four: Vec<Card> = (0..4).map(|n| Card::sparse(desk.dir(), &format!("slow-{n}"))).collect();
    let limits = match Limits::new(scratch, &four, RATE) {
        Ok(limits) => limits,
        Err(why) => return report.skip(NAME, &why),
    };
    let base = What::Nodes(&work.large().raw);
    let (a, b) = in_turn(
        work,
        || desk.flash(base, &four, "", Some(&limits)),
        || desk.flash(base, &four[..1], "", Some(&limits)),
    );
    report.row(Row::times(NAME, "pibake, one of these cards", 1.3, &a, &b));
}

/// The peak of memory with many cards, from an image and from a packed base that is in no cache.
fn many(work: &Work, desk: &Desk, report: &mut Report) {
    let many: Vec<Card> = (0..MANY).map(|n| Card::sparse(desk.dir(), &format!("card-{n}"))).collect();
    let rounds = work.rounds.min(2);
    let peak: Vec<Run> = (0..rounds).map(|_| desk.flash(What::Image(&desk.image), &many, "", None)).collect();
    report.row(Row::limit_memory("eight cards, written and read back", MEMORY, &peak));
    // no longer needed, and the room for the cards and the cache is
    std::fs::remove_file(&desk.image).expect("the image of a node");
    let packed = What::Nodes(&work.large().packed);
    let peak: Vec<Run> = (0..rounds)
        .map(|_| {
            clear(&desk.cache);
            desk.flash(packed, &many, "", None)
        })
        .collect();
    clear(&desk.cache);
    report.row(Row::limit_memory("eight cards from the .xz, written and read back", MEMORY, &peak));
}
