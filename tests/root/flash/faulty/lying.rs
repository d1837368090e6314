//! Cards that have less than they claim.

use libtest_mimic::Failed;

use super::bench::{BAD, Bench, is_bad};
use crate::disk::{Disk, Faults};
use crate::flash::work::{CARD, MIB, said};
use crate::loops::Drive;

/// Bytes of one mark.
const MARK: u64 = 4096;

fn lying(real: u64, wraps: bool) -> Faults {
    match wraps {
        true => Faults { wraps_at: Some(real), ..Faults::default() },
        false => Faults { ends_at: Some(real), ..Faults::default() },
    }
}

/// Of what is in the image nothing was written yet: zeros at both ends, and marks.
fn assert_found_before_the_long_write(disk: &Disk, what: &str) {
    let notes = disk.chip().notes();
    let between = notes.replaced().filter(|range| range.start >= MIB && range.end <= CARD - MIB);
    let long: Vec<_> = between.filter(|range| range.end - range.start > MARK).collect();
    assert!(long.is_empty(), "{what}: {long:?}");
    assert!(notes.written_behind(0) < 4 * MIB, "{what}: {}", notes.written_behind(0));
}

pub fn found_before_the_long_write() -> Result<(), Failed> {
    let bench = Bench::new();
    for cached in [true, false] {
        for real in [CARD / 2, 256 * MIB, 64 * MIB, 32 * MIB, CARD - 512, 400 * MIB] {
            for wraps in [true, false] {
                // what wraps behind the image at an odd size is seen only where two marks meet; and once is
                // enough without a cached base
                if wraps && real > 385 * MIB || !cached && real != CARD / 2 {
                    continue;
                }
                if !cached {
                    bench.forget_base();
                }
                let what = format!("{real} bytes, wraps {wraps}, cached {cached}");
                let disk = Disk::new(CARD, lying(real, wraps));
                let out = bench.flash(&disk, &[]);
                is_bad(&out);
                assert!(said(&out).contains(&format!("{BAD}: {} does not give back at byte", disk.name())));
                assert_found_before_the_long_write(&disk, &what);
                bench.assert_true(&disk, 1, &out);
                assert!(disk.is_blank(), "{what}");
            }
        }
    }
    Ok(())
}

/// Where no mark meets another, the image is written; then it is seen, or nothing that is in use was lost.
pub fn never_a_wrong_done() -> Result<(), Failed> {
    let bench = Bench::new();
    let image = std::fs::metadata(bench.image(1))?.len();
    for real in [CARD - 512, 400 * MIB + 512, 386 * MIB, 300 * MIB + 4096, 129 * MIB, 77 * MIB + 1536] {
        for more in [&[][..], &["--full"]] {
            let (_, out) = bench.try_card(lying(real, true), more);
            if !out.status.success() || (real < image && !more.is_empty()) {
                is_bad(&out);
            }
        }
    }
    Ok(())
}
