//! Drives that answer with errors, forget, or give back something else.

use fuser::Errno;
use libtest_mimic::Failed;

use super::bench::{BAD, BLANK, Bench, UNSURE, is_bad};
use crate::disk::{Asked, Disk, Faults};
use crate::flash::work::{CARD, MIB, failed, said, succeeded};
use crate::loops::Drive;

/// What was asked of a drive that does everything right.
struct Counts {
    writes: u64,
    reads: u64,
    flushes: u64,
    requests: u64,
}

fn counts(bench: &Bench) -> Counts {
    let disk = Disk::new(CARD, Faults::default());
    succeeded(&bench.flash(&disk, &[]));
    let notes = disk.chip().notes().0;
    let count = |is: fn(&Asked) -> bool| notes.iter().filter(|note| is(&note.asked)).count() as u64;
    let writes = count(|asked| matches!(asked, Asked::Write(_)));
    let flushes = count(|asked| matches!(asked, Asked::Flush));
    let reads = count(|asked| matches!(asked, Asked::Read(_)));
    assert!(writes > 100 && flushes > 0, "{writes} {flushes}");
    Counts { writes, reads, flushes, requests: notes.len() as u64 }
}

/// Each of the first and the last ones, where the first MiB is written, and some between.
fn moments(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).filter(move |n| *n <= 9 || n + 10 > count || n.is_multiple_of(31))
}

pub fn a_write() -> Result<(), Failed> {
    let bench = Bench::new();
    let all = counts(&bench);
    for number in moments(all.writes) {
        for (errno, said_of_it) in [(Errno::EIO, "Input/output error"), (Errno::EROFS, "error")] {
            // one write that fails, or all from there on: what turns read-only
            let last = if errno == Errno::EIO { number + 1 } else { u64::MAX };
            let fail_writes = Some((number..last, errno));
            let (disk, out) = bench.try_card(Faults { fail_writes, ..Faults::default() }, &[]);
            failed(&out, 1, said_of_it);
            failed(&out, 1, &format!("{} at byte ", disk.name()));
            // the first eight zero the first MiB, and the last nine fill it
            let zeroed = last != u64::MAX || number > 8 && number + 8 < all.writes;
            failed(&out, 1, if zeroed { BLANK } else { UNSURE });
        }
    }
    Ok(())
}

pub fn a_read() -> Result<(), Failed> {
    let bench = Bench::new();
    let reads = counts(&bench).reads;
    let mut again = 0;
    for number in (1..=reads).step_by(8).chain(reads - 9..=reads) {
        let fail_reads = Some((number..number + 1, Errno::EIO));
        let (_, out) = bench.try_card(Faults { fail_reads, ..Faults::default() }, &["--json"]);
        again += usize::from(out.status.success() && said(&out).contains("trying once more"));
    }
    assert!(again > 3, "no read of the check was hit: {again}");
    let fail_reads = Some((60..u64::MAX, Errno::EIO));
    let (_, out) = bench.try_card(Faults { fail_reads, ..Faults::default() }, &[]);
    is_bad(&out);
    Ok(())
}

pub fn a_flush() -> Result<(), Failed> {
    let bench = Bench::new();
    for number in 1..=counts(&bench).flushes {
        let fail_flushes = Some(number..number + 1);
        let (disk, out) = bench.try_card(Faults { fail_flushes, ..Faults::default() }, &[]);
        // the very last one is the kernel's own, when the drive is closed
        if !out.status.success() {
            failed(&out, 1, "Input/output error");
            assert!(disk.is_blank(), "flush {number}");
        } else {
            assert_eq!(number, counts(&bench).flushes, "flush {number} failed, and nobody saw it");
        }
    }
    Ok(())
}

/// Whatever it answers then.
pub fn the_drive_is_gone() -> Result<(), Failed> {
    let bench = Bench::new();
    let all = counts(&bench);
    let answers = [Errno::ENODEV, Errno::EIO];
    for (number, errno) in moments(all.requests - 1).zip(answers.into_iter().cycle()) {
        let faults = Faults { gone_after: Some((number, errno)), ..Faults::default() };
        let (_, out) = bench.try_card(faults, &[]);
        let what = format!("gone after {number} of {}: {}", all.requests, said(&out));
        match out.status.code() {
            // but for what the kernel asks when the drive is closed
            Some(0) => assert!(number + 2 >= all.requests, "{what}"),
            // a loop device turns some of its file's ENODEV into EIO
            Some(1) if errno == Errno::ENODEV => assert!(
                said(&out).contains("is no longer there") || said(&out).contains("Input/output error"),
                "{what}"
            ),
            Some(1) => {}
            // it can be read no longer, and that is all that was left to do
            code => assert!(code == Some(3) && errno == Errno::EIO, "{what}"),
        }
    }
    Ok(())
}

/// A worn card grants every write and keeps none.
pub fn the_card_is_worn_out() -> Result<(), Failed> {
    let bench = Bench::new();
    let all = counts(&bench);
    for number in [0].into_iter().chain(moments(all.writes - 1)) {
        let (disk, out) = bench.try_card(Faults { frozen_after: Some(number), ..Faults::default() }, &[]);
        is_bad(&out);
        // it was zeroed by the first eight, unless it was worn out already
        assert_eq!(disk.is_blank(), number >= 8, "{number}: {}", said(&out));
    }
    Ok(())
}

/// One write of a thousand is forgotten: the place is named and tried once more; the second is too much.
pub fn some_writes_are_forgotten() -> Result<(), Failed> {
    let bench = Bench::new();
    let (disk, out) = bench.try_card(Faults { drop_every: Some(1000), ..Faults::default() }, &["--full"]);
    is_bad(&out);
    let text = said(&out);
    let note = text.lines().find(|line| line.contains("trying once more")).ok_or("no second try")?;
    // what was to be there is where the thousandth write went
    let writes: Vec<_> = disk.chip().notes().replaced().cloned().collect();
    let named: u64 = note
        .split_once(": byte ")
        .and_then(|(_, at)| at.split(' ').next()?.parse().ok())
        .ok_or("no offset")?;
    assert!(writes[999].contains(&named), "{note}: {:?}", writes[999]);
    assert_eq!(text.matches("trying once more").count(), 1, "{text}");

    let (mut found, mut forgiven) = (0, 0);
    for every in [2, 3, 5, 9, 17, 31, 60, 90, 100, 110, 120, 130, 140, 150] {
        let (_, out) = bench.try_card(Faults { drop_every: Some(every), ..Faults::default() }, &[]);
        if out.status.success() {
            forgiven += usize::from(said(&out).contains("trying once more"));
        } else {
            found += 1;
            failed(&out, 3, BAD);
        }
    }
    assert!(found > 5 && forgiven > 0, "{found} {forgiven}");
    Ok(())
}

/// A byte that reads with one bit changed, here and there in what is in use.
pub fn a_bit_flips() -> Result<(), Failed> {
    let bench = Bench::new();
    let used = bench.used(1);
    let places =
        used.iter().step_by(used.iter().count().div_ceil(8)).map(|range| (range.start + range.end) / 2);
    for at in places.chain([MIB - 1, 0, 446]) {
        let (disk, out) = bench.try_card(Faults { flips: Some(at), ..Faults::default() }, &[]);
        is_bad(&out);
        assert!(said(&out).contains(&format!("at byte {at} ")), "{at}: {}", said(&out));
        let tried = if at < MIB { 0 } else { 1 };
        assert_eq!(said(&out).matches("trying once more").count(), tried, "{at}: {}", said(&out));
        // what is there is zero, though it does not read so
        assert!(disk.is_blank());
    }
    Ok(())
}
