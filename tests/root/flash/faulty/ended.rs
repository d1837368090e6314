//! The program is ended while a certain request is with the drive.

use std::io::Write;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal};

use super::bench::{BLANK, Bench};
use super::power;
use crate::disk::{Disk, Faults};
use crate::flash::work::{CARD, MIB, assert_same, said, succeeded};
use crate::loops::Drive;
use rand::RngExt;

const MOMENTS: u64 = 50;

/// The program is killed, and nobody tidies up after it.
pub fn killed() -> Result<(), Failed> {
    at_fifty_moments(Signal::KILL)
}

/// Ctrl-C.
pub fn stopped() -> Result<(), Failed> {
    at_fifty_moments(Signal::INT)
}

fn at_fifty_moments(signal: Signal) -> Result<(), Failed> {
    let bench = Bench::new();
    let disk = Disk::new(CARD, Faults::default());
    succeeded(&bench.flash(&disk, &[]));
    let requests = disk.chip().notes().0.len() as u64;
    let mut noise = support::noise::noise(signal.as_raw().unsigned_abs().into());
    let (mut blank, mut whole) = (0, 0);
    for n in 0..MOMENTS {
        if n % 10 == 9 {
            // without a cached base the card is begun while that is decoded
            bench.forget_base();
        }
        // every part of it has its turn, and the end more often
        let moment = match n % 5 {
            0 => requests - noise.random_range(0..20),
            _ => 1 + (n * requests + noise.random_range(0..requests)) / MOMENTS,
        };
        disk.chip().soil(MIB);
        let arguments = ["flash", "--allow-fixed", disk.name(), "--base", "sample", "--node", "1"];
        let mut child = bench.work.command(&arguments).spawn()?;
        let kills = Some((moment, Pid::from_child(&child), signal));
        disk.chip().refit(Faults { kills, keep: true, ..Faults::default() });
        child.stdin.take().ok_or("no stdin")?.write_all(disk.answer().as_bytes())?;
        let out = child.wait_with_output()?;
        let what = format!("{signal:?} with request {moment} of {requests}: {}", said(&out));

        let notes = disk.chip().notes();
        power::assert_safe(&bench, 1, &notes.0, &mut noise);
        bench.assert_no_half(&disk, 1);
        if notes.replaced().next().is_none() {
            // while it looked what is on the card: Ctrl-C just ends the program there
            assert!(!out.status.success(), "{what}");
        } else if disk.is_blank() {
            blank += 1;
            assert!(!out.status.success(), "{what}");
            assert!(signal == Signal::KILL || said(&out).contains(BLANK), "{what}");
        } else if out.status.success() {
            whole += 1;
            assert_same(&disk, &bench.image(1));
        } else {
            // in the very first requests, or in the very last
            assert!(signal == Signal::KILL, "{what}");
        }
    }
    assert!(blank > 30 && blank + whole <= MOMENTS, "{blank} {whole}");
    // the next run finds nothing that hinders it
    disk.chip().refit(Faults::default());
    succeeded(&bench.flash(&disk, &[]));
    assert_same(&disk, &bench.image(1));
    Ok(())
}
