//! Cards that do not get finished: drives that answer with errors, and a program that is ended.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal};

use super::work::{CARD, MIB, Work, assert_same, said, succeeded};
use crate::loops::{Drive, Loop};
use rand::RngExt;
use support::noise;
use support::tool;

/// A drive that answers with errors: strace puts them into the place of what the kernel answers.
pub fn drive_errors() -> Result<(), Failed> {
    let work = Work::new();
    work.build(&["1"]);
    let card = Loop::new(work.path(), "card", CARD, 512);
    for (call, number, code) in [
        ("pwrite64", "5", 1),
        ("pwrite64", "30", 1),
        ("pwrite64", "32+", 1),
        ("fdatasync", "2", 1),
        ("fallocate", "3", 1),
        ("pread64", "60+", 3),
    ] {
        let mut traced = tool("strace", "strace");
        traced.args(["-f", "-o"]).arg(work.path().join("trace")).arg("-P").arg(card.device());
        let inject = format!("inject={call}:error=EIO:when={number}");
        traced.args(["-e", &format!("trace={call}"), "-e", &inject]).arg(env!("CARGO_BIN_EXE_pibake"));
        traced.args(["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"]);
        traced.current_dir(work.path()).env("XDG_CACHE_HOME", work.path().join("cache"));
        traced.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = traced.spawn()?;
        child.stdin.take().ok_or("no stdin")?.write_all(card.answer().as_bytes())?;
        let out = child.wait_with_output()?;
        if out.status.success() {
            // the count of calls is each thread's own: one that never made so many goes unhurt
            assert_same(&card, &work.image("node-1"));
            return Err(format!("{call} {number} hit nothing").into());
        }
        assert_eq!(out.status.code(), Some(code), "{call} {number}: {}", said(&out));
        assert!(card.head().iter().all(|b| *b == 0), "{call} {number}: it looks as if it would boot");
        // of one that cannot be read nobody knows
        let known =
            if call == "pread64" { "its first MiB is not known to be zero" } else { "its first MiB is zero" };
        assert!(said(&out).contains(known), "{call} {number}: {}", said(&out));
    }
    Ok(())
}

const MOMENTS: usize = 50;

/// The program ends by `signal` at moments all over its way.
pub fn at_any_moment(signal: Signal) -> Result<(), Failed> {
    let work = Work::new();
    work.build(&["1"]);
    let image = work.image("node-1");
    let card = Loop::new(work.path(), "card", CARD, 512);
    let neighbour = Loop::new(work.path(), "neighbour", 32 * MIB, 512);
    let arguments = ["flash", "--allow-fixed", card.name(), "--base", "sample", "--node", "1"];
    let start = || -> Child {
        let mut child = work.command(&arguments).spawn().unwrap();
        child.stdin.take().unwrap().write_all(card.answer().as_bytes()).unwrap();
        child
    };
    let begun = Instant::now();
    succeeded(&start().wait_with_output()?);
    let whole = begun.elapsed();
    let mut noise = noise::noise(signal.as_raw().unsigned_abs().into());
    // as if another system was on it: one that is left alone is seen to be
    let before = noise::fill(&mut noise, 2 * MIB as usize);
    let (mut half, mut untouched) = (0, 0);
    for n in 0..MOMENTS {
        card.put(0, &before);
        if n % 10 == 0 {
            // without a cached base the card is begun while that is decoded
            std::fs::remove_dir_all(work.path().join("cache"))?;
        }
        let child = start();
        std::thread::sleep(whole.mul_f64(noise.random_range(0.0..1.1)));
        // it may have ended by itself
        let _ = rustix::process::kill_process(Pid::from_child(&child), signal);
        let out = child.wait_with_output()?;
        if out.status.success() {
            assert_same(&card, &image);
        } else if card.is_blank() {
            half += 1;
            if out.status.code().is_some() {
                assert!(said(&out).contains("its first MiB is zero"), "{}", said(&out));
            }
        } else if card.bytes(0, before.len()) == before {
            untouched += 1;
        } else {
            // killed while the first MiB was zeroed, or whole but for the last word
            assert_eq!(out.status.code(), None, "{}", said(&out));
            let head = card.head();
            let zeroed = head.iter().zip(&before).all(|(now, before)| *now == 0 || now == before);
            assert!(
                card.bytes(MIB, MIB as usize) == before[MIB as usize..] && zeroed || head == head_of(&image)?
            );
            if !zeroed {
                assert_same(&card, &image);
            }
        }
    }
    assert!(half >= 5, "only {half} runs were ended in their middle, {untouched} before");
    succeeded(&start().wait_with_output()?);
    assert_same(&card, &image);
    assert!(neighbour.is_as_before(), "a drive that was not meant was written");
    Ok(())
}

fn head_of(image: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = vec![0; MIB as usize];
    File::open(image)?.read_exact(&mut head)?;
    Ok(head)
}
