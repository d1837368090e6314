//! Several cards at once, of which one is slow or goes away: it is slow alone, and fails alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use fuser::Errno;
use libtest_mimic::Failed;

use super::bench::Bench;
use crate::disk::{Disk, Faults, Pace};
use crate::flash::work::{CARD, assert_same, failed, said};
use crate::loops::Drive;

fn arguments(disks: &[&Disk], more: &[&str]) -> Vec<String> {
    let devices = disks.iter().enumerate().map(|(n, disk)| format!("{}={}", disk.name(), n + 1));
    ["flash", "--allow-fixed", "--base", "sample"]
        .map(String::from)
        .into_iter()
        .chain(devices)
        .chain(more.iter().map(|s| s.to_string()))
        .collect()
}

pub fn one_vanishes() -> Result<(), Failed> {
    let bench = Bench::new();
    for (n, after) in [0, 5, 20, 60, 110, 160, 250].into_iter().enumerate() {
        if n % 2 == 0 {
            bench.forget_base();
        }
        let good = [(); 2].map(|()| Disk::new(CARD, Faults::default()));
        let gone = Disk::new(CARD, Faults { gone_after: Some((after, Errno::ENODEV)), ..Faults::default() });
        let all = [&good[0], &gone, &good[1]];
        let arguments = arguments(&all, &[]);
        let answers: String = all.iter().map(|disk| disk.answer()).collect();
        let out = bench.work.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &answers);
        // a loop device turns some of its file's ENODEV into EIO, which writing, reading or flushing then tells
        let named = said(&out).contains(&format!("{} is no longer there", gone.name()))
            || said(&out).contains(&format!("{} at byte", gone.name()));
        assert!(out.status.code() == Some(1) && named, "{}", said(&out));
        for (n, disk) in all.into_iter().enumerate() {
            bench.assert_true(disk, n + 1, &out);
        }
        assert_same(&good[0], &bench.image(1));
        assert_same(&good[1], &bench.image(3));
    }
    Ok(())
}

/// Pulled out by hand, so that the kernel knows.
pub fn one_is_pulled_out() -> Result<(), Failed> {
    let bench = Bench::new();
    // while it is written, and while it is read back
    for (more, requests) in
        [(&["--full"][..], 300), (&["--full", "--no-verify"], 1500), (&[], 30), (&[], 200)]
    {
        let all = [(); 2].map(|()| Disk::new(CARD, Faults::default()));
        let arguments = arguments(&[&all[0], &all[1]], more);
        let mut child =
            bench.work.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn()?;
        child.stdin.take().ok_or("no stdin")?.write_all((all[0].answer() + &all[1].answer()).as_bytes())?;
        all[1].chip().wait_for(requests);
        all[1].pull_out();
        let out = child.wait_with_output()?;
        failed(&out, 1, &format!("{} is no longer there: was it pulled out?", all[1].name()));
        all.iter().enumerate().for_each(|(n, disk)| bench.assert_true(disk, n + 1, &out));
        assert_same(&all[0], &bench.image(1));
    }
    Ok(())
}

/// For each request of the slow one, ten of the fast one go by, until that one is said to be done.
pub fn one_is_ten_times_slower() -> Result<(), Failed> {
    let bench = Bench::new();
    for cached in [true, false] {
        if !cached {
            bench.forget_base();
        }
        let pace = Arc::new(Pace::default());
        let slow = Disk::new(CARD, Faults { keeps_pace: Some(Arc::clone(&pace)), ..Faults::default() });
        let fast = Disk::new(CARD, Faults { sets_pace: Some(Arc::clone(&pace)), ..Faults::default() });
        let arguments = arguments(&[&slow, &fast], &["--full"]);
        let mut command = bench.work.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let mut child = command.spawn()?;
        child.stdin.take().ok_or("no stdin")?.write_all((slow.answer() + &fast.answer()).as_bytes())?;
        let done = format!("checking {}: done", fast.name());
        let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        let mut text = Vec::new();
        for line in lines.by_ref() {
            text.push(line?);
            if text.last().is_some_and(|line| line.contains(&done)) {
                break;
            }
        }
        let (behind, last) = (slow.chip().notes(), fast.chip().notes());
        pace.release();
        let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
        let mut table = String::new();
        child.stdout.take().ok_or("no stdout")?.read_to_string(&mut table)?;
        let said = format!("{}\n---\n{}\n{table}", text.join("\n"), rest.join("\n"));
        assert!(child.wait()?.success(), "{said}");
        assert!(!pace.was_in_vain(), "the fast card waited for the slow one: {said}");
        assert_same(&slow, &bench.image(1));
        assert_same(&fast, &bench.image(2));

        // when the fast one was said to be done, it was, and the slow one had hardly begun
        let all = fast.chip().notes();
        assert_eq!(last.replaced().count(), all.replaced().count(), "{said}");
        let fast_last = all.last_write().map(|n| all.0[n].turn);
        let all = slow.chip().notes();
        let slow_last = all.last_write().map(|n| all.0[n].turn);
        assert!(fast_last < slow_last, "{fast_last:?} {slow_last:?}");
        assert!(behind.replaced().count() * 3 < all.replaced().count(), "the slow one was not slow");
    }
    Ok(())
}
