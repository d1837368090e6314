//! A card from a packed base that is in no cache: decoded, hashed, put into the cache and written at
//! the same time, so that it should take no longer than the longer of decoding and writing alone.

use crate::cards::{Desk, MEMORY, RATE, What};
use crate::copies::in_turn;
use crate::limits::Limits;
use crate::loops::Card;
use crate::peers::Peer;
use crate::process::{Run, shell};
use crate::report::{Report, Row};
use crate::work::{Work, clear};
use support::tool;

const TARGET: f64 = 1.05;

pub fn packed(work: &Work, report: &mut Report) {
    if !rustix::process::geteuid().is_root() {
        report.skip("packed", "loop devices need root");
        return;
    }
    let scratch = work.scratch();
    let desk = Desk::new(work, scratch.path());
    let card = [Card::whole(desk.dir(), "packed")];
    let packed = &work.large().packed;
    tool("xz", "xz-utils");
    let decode = || shell(desk.dir(), "xz -T0 -dc \"$1\" > /dev/null", &[packed]);
    let ours = |flags: &str, limits: Option<&Limits>| {
        clear(&desk.cache);
        desk.flash(What::Nodes(packed), &card, flags, limits)
    };
    let mut all: Vec<Run> = Vec::new();
    let mut pair = |report: &mut Report, name: &str, flags: &str, limits: Option<&Limits>| {
        // written alone: the same node, from an image that was built before
        let alone = || desk.flash(What::Image(&desk.image), &card, flags, limits);
        let (a, b) = in_turn(work, || ours(flags, limits), || decode().longer(alone()));
        report.row(Row::times(name, "the longer of xz -T0 -dc and flash --image", TARGET, &a, &b));
        all.extend(a);
    };
    pair(report, "one card from the .xz, write only", "--no-verify", None);
    pair(report, "one card from the .xz, written and read back", "", None);
    const SLOW: &str = "one card of 80 MB/s from the .xz, written and read back";
    match Limits::new(scratch.path(), &card, RATE) {
        Ok(limits) => pair(report, SLOW, "", Some(&limits)),
        Err(why) => report.skip(SLOW, &why),
    }
    report.row(Row::limit_memory("one card from the .xz", MEMORY, &all));
    for peer in Peer::able(work, desk.dir(), &desk.image, &card[0].device, report) {
        let (what, flags) = match peer.reads_back() {
            true => ("one card from the .xz, written and read back", ""),
            false => ("one card from the .xz, write only", "--no-verify"),
        };
        let theirs = || peer.write(desk.dir(), packed, &card[0].device);
        let (a, b) = in_turn(work, || ours(flags, None), theirs);
        report.row(Row::times(what, &peer.name(), None, &a, &b));
    }
}
