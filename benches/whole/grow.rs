//! The root file system of a 3.3 GiB image made to fill a card of 16 GiB.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use pibake::disk::{Extended, FileDevice, Overlay, partitions};
use pibake::fs::ext4;

use crate::bake::timed;
use crate::process::Run;
use crate::report::{Report, Row};
use crate::work::Work;
use support::{images, run, tool};

const CARD: u64 = 16 << 30;
/// The target, as a share of what `resize2fs` takes.
const TARGET: f64 = 2.0;

pub fn grow(work: &Work, report: &mut Report) {
    let base = work.large();
    let scratch = work.scratch();
    let [root, image] = ["root.ext4", "image"].map(|name| scratch.path().join(name));
    let (_, found) = partitions(&FileDevice::open(&base.raw).expect("the base")).expect("a table");
    images::extract(&base.raw, (found[1].offset, found[1].len), &root);
    let measure = |grown: &dyn Fn(&Path)| -> Run {
        run(std::process::Command::new("cp").arg("--sparse=always").args([&root, &image]));
        let file = OpenOptions::new().write(true).open(&image).expect("the copy");
        file.set_len(CARD).and_then(|()| file.sync_all()).expect("a longer file");
        timed(|| grown(&image))
    };
    let theirs = |image: &Path| drop(run(tool("resize2fs", "e2fsprogs").arg("-f").arg(image)));
    let (ours, peer): (Vec<_>, Vec<_>) = (0..work.rounds).map(|_| (measure(&ours), measure(&theirs))).unzip();
    report.row(Row::times("ext4 from 3.1 GiB to 16 GiB, synced", "resize2fs", Some(TARGET), &ours, &peer));
}

/// In an overlay, as a bake has it, of which the blocks are written.
fn ours(image: &Path) {
    let overlay = Overlay::new(Extended::new(FileDevice::open(image).expect("the copy"), CARD));
    let grown = ext4::grow(&overlay, CARD).expect("growth");
    assert!(grown.after > CARD - (128 << 20), "{grown:?}");
    let file: File = OpenOptions::new().write(true).open(image).expect("the copy");
    let patch = overlay.freeze().expect("the blocks");
    for range in patch.ranges().iter() {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        patch.apply(range.start, &mut bytes).expect("the blocks");
        file.write_all_at(&bytes, range.start).expect("a run");
    }
    file.sync_all().expect("a synced file");
}
