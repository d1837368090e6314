//! Four images by pibake, and four by xz and cp.

use std::path::Path;

use crate::mounted::Mounted;
use crate::process::{self, Run, shell};
use crate::report::{Report, Row};
use crate::work::{Work, clear};
use support::tool;

/// The program under test, built in the same way as for a release.
pub const PIBAKE: &str = env!("CARGO_BIN_EXE_pibake");

/// Four copies under their names, each on the disk before the end, as pibake's are.
const COPY: &str =
    "for n in 1 2 3 4; do cp --sparse=always \"$1\" \"$2/node-$n.img\"; done; sync \"$2\"/node-?.img";

/// Builds `nodes` images of `base` in `dir`, with the cache `cache`.
pub fn build(dir: &Path, base: &Path, cache: &Path, nodes: u32, format: &str) -> Run {
    let nodes = nodes.to_string();
    let base = base.to_str().expect("a path in UTF-8");
    let arguments = ["build", "-q", "--base", base, "--nodes", &nodes, "--format", format, "-o", "images"];
    process::run(dir, PIBAKE, &arguments, &[("XDG_CACHE_HOME", cache)])
}

/// Four `cp --sparse=always` of the raw base into `dir`.
fn copy(dir: &Path, base: &Path) -> Run {
    shell(dir, COPY, &[base, dir])
}

/// Runs both sides in turn, each beginning with an empty folder.
pub fn in_turn(
    work: &Work,
    mut ours: impl FnMut() -> Run,
    mut peer: impl FnMut() -> Run,
) -> (Vec<Run>, Vec<Run>) {
    (0..work.rounds)
        .map(|round| {
            // who goes first is in luck or out of it: they take turns
            let (a, b);
            if round % 2 == 0 {
                a = ours();
                b = peer();
            } else {
                b = peer();
                a = ours();
            }
            eprintln!("   {:.2} s beside {:.2} s", a.wall, b.wall);
            (a, b)
        })
        .unzip()
}

/// A run that begins with `dir` empty and leaves it so.
fn fresh(dir: &Path, run: impl FnOnce() -> Run) -> Run {
    clear(dir);
    let run = run();
    clear(dir);
    run
}

/// The first build: verify, decode, cache and write, beside decoding to a file and copying that.
pub fn first(work: &Work, report: &mut Report) {
    let base = work.large();
    let scratch = work.scratch();
    let (ours, peer) = (scratch.path().join("ours"), scratch.path().join("peer"));
    let script = format!("xz -T0 -dc \"$3\" > \"$2/base.img\"; {COPY} \"$2/base.img\"");
    tool("xz", "xz-utils");
    let (a, b) = in_turn(
        work,
        || fresh(&ours, || build(&ours, &base.packed, &ours.join("cache"), 4, "raw")),
        || fresh(&peer, || shell(&peer, &script, &[&peer.join("base.img"), &peer, &base.packed])),
    );
    report.row(Row::times("first build of four", "xz -T0 -dc, 4 cp --sparse=always, sync", 0.85, &a, &b));
}

/// A later build, from the cache.
pub fn later(work: &Work, report: &mut Report) {
    let base = work.large();
    let scratch = work.scratch();
    let (ours, peer, cache) =
        (scratch.path().join("ours"), scratch.path().join("peer"), scratch.path().join("cache"));
    clear(&ours);
    build(&ours, &base.packed, &cache, 4, "raw");
    let (a, b) = in_turn(
        work,
        || fresh(&ours, || build(&ours, &base.packed, &cache, 4, "raw")),
        || fresh(&peer, || copy(&peer, &base.raw)),
    );
    report.row(Row::times("later build of four", "4 cp --sparse=always, sync", 1.0, &a, &b));
}

/// A later build on a file system whose files can share blocks, beside copies on this one.
pub fn reflink(work: &Work, report: &mut Report) {
    const NAME: &str = "later build of four, XFS with reflinks";
    if !rustix::process::geteuid().is_root() {
        report.skip(NAME, "mounting an XFS in a file needs root");
        return;
    }
    let base = work.large();
    let scratch = work.scratch();
    let disk = Mounted::xfs(scratch.path(), 24 << 30);
    let (ours, peer, cache) = (disk.at().join("ours"), scratch.path().join("peer"), disk.at().join("cache"));
    clear(&ours);
    build(&ours, &base.packed, &cache, 4, "raw");
    let mut on_xfs = Vec::new();
    let (a, b) = in_turn(
        work,
        || fresh(&ours, || build(&ours, &base.packed, &cache, 4, "raw")),
        || {
            let run = fresh(&peer, || copy(&peer, &base.raw));
            // the same on the file system that is measured, to tell its share in the ratio
            on_xfs.push(fresh(&ours, || copy(&ours, &base.raw)));
            run
        },
    );
    report.row(Row::times(NAME, "4 cp --sparse=always, sync, ext4", 0.05, &a, &b));
    report.row(Row::times(NAME, "4 cp --sparse=always, sync, that XFS", 0.05, &a, &on_xfs));
}
