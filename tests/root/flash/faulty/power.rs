//! The power is cut: the table is stored last, and nothing before has it.

use libtest_mimic::Failed;

use super::bench::{Bench, TABLE};
use crate::disk::{Asked, Disk, Faults, Loss, Note};
use crate::flash::work::{CARD, MIB, succeeded};
use support::noise::{self, Noise};

fn keeping() -> Faults {
    Faults { keep: true, ..Faults::default() }
}

/// Where in the notes something was written into the block with the table.
fn table_writes(notes: &[Note]) -> Vec<usize> {
    let is_table = |note: &Note| note.asked.replaced().is_some_and(|range| range.start < TABLE);
    notes.iter().enumerate().filter(|(_, note)| is_table(note)).map(|(n, _)| n).collect()
}

pub fn the_table_is_stored_last() -> Result<(), Failed> {
    let bench = Bench::new();
    for (cached, more) in
        [(true, &[][..]), (false, &[]), (true, &["--no-verify"]), (true, &["--full", "--wipe"])]
    {
        if !cached {
            bench.forget_base();
        }
        let disk = Disk::new(CARD, keeping());
        succeeded(&bench.flash(&disk, more));
        let notes = disk.chip().notes();
        // twice: the zeros at the beginning, once more after wiping, and the table at the end
        let at = table_writes(&notes.0);
        let [first, .., table] = at[..] else { panic!("{at:?}") };
        let zeros = &at[..at.len() - 1];
        assert!(zeros.iter().all(|n| notes.0[*n].bytes.as_ref().is_some_and(|b| b.iter().all(|b| *b == 0))));
        assert_eq!(notes.0[table].bytes.as_deref(), Some(&bench.read(1, 0, TABLE as usize)[..]));
        assert_eq!(notes.last_write(), Some(table), "the table is written last");
        let before = notes.0[..table].iter().rposition(|note| note.asked.replaced().is_some());
        assert!(notes.flushed(before.unwrap_or(0)..table), "all else is stored before the table is written");
        assert!(notes.flushed(table..notes.0.len()), "the table is stored");

        // what boots is gone before anything takes its place
        let is_behind = |note: &Note| note.asked.replaced().is_some_and(|range| range.start >= MIB);
        let behind = notes.0.iter().position(is_behind).ok_or("nothing was written")?;
        let wiped = notes.0[first..behind].iter().filter_map(|note| note.asked.replaced());
        assert!(wiped.map(|range| range.end).max() == Some(MIB), "the first MiB is zeroed first");
        assert!(notes.flushed(first..behind), "and that is stored");
    }
    Ok(())
}

/// After a cut at any moment: either there is no table, or all is there that it stands for.
pub fn cut_at_any_moment() -> Result<(), Failed> {
    let bench = Bench::new();
    let disk = Disk::new(CARD, keeping());
    succeeded(&bench.flash(&disk, &[]));
    let notes = disk.chip().notes();
    let mut noise = noise::noise(2311);
    let whole = assert_safe(&bench, 1, &notes.0, &mut noise);
    assert!(whole > 0, "the table is there at the end");
    Ok(())
}

/// Cuts the power after each request. Returns how often the card was whole then.
pub fn assert_safe(bench: &Bench, node: usize, notes: &[Note], noise: &mut Noise) -> usize {
    let table = bench.read(node, 0, TABLE as usize);
    let used: Vec<_> = bench.used(node).iter().collect();
    let image: Vec<Vec<u8>> =
        used.iter().map(|range| bench.read(node, range.start, (range.end - range.start) as usize)).collect();
    let mut loss = Loss::default();
    let mut whole = 0;
    for (n, note) in notes.iter().enumerate() {
        loss.follow(note);
        if matches!(note.asked, Asked::Read(_)) {
            continue;
        }
        // what matters most is what may be stored together with the table
        let cuts = if table_writes(std::slice::from_ref(note)).is_empty() { 1 } else { 50 };
        for _ in 0..cuts {
            loss.cut(noise);
            if loss.holds(0, &table[..512]) {
                whole += 1;
                for (range, bytes) in used.iter().zip(&image) {
                    assert!(
                        loss.holds(range.start, bytes),
                        "cut after request {n}: a table, but not {range:?}"
                    );
                }
            } else if loss.has_old(0, TABLE) {
                assert!(!loss.is_begun_behind(MIB), "cut after request {n}: half of what was there before");
            } else {
                assert!(loss.holds(0, &vec![0; TABLE as usize]), "cut after request {n}: half a table");
            }
        }
    }
    whole
}
