//! Reading, writing and checking one card at the same time.
//!
//! A reader fetches what comes next while the writer writes. Behind the writer, a third thread has
//! the card store what it got, every so many bytes, and compares what was stored with what should be
//! there. It begins with what was on the card before and was not read back yet. So the bar shows what
//! is on the card, and the end is no long silence.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Done;
use super::error::Error;
use super::layout::{HEAD, SYNC_EVERY, SYNC_LEAST, SYNC_PART, UNIT};
use super::plan::Plan;
use super::reader::CardReader;
use super::verify::Verifier;
use super::windows::{WINDOW, Window, Windows};
use super::writer::CardWriter;
use super::{Proof, Still};
use crate::disk::Cached;
use crate::io::AlignedBuf;
use crate::progress::{Progress, Step};
use crate::sink::threads::{cause, returned};

/// Where nothing is checked, not more often than this, which is enough for the bar to tell the truth.
const SYNC_PAUSE: Duration = Duration::from_millis(500);
/// Bytes that are read of the card at once when its file systems are looked at.
const PROOF_BLOCK: usize = 64 * 1024;
/// How far the writer may run ahead of that, in windows.
const AHEAD: usize = 32;

/// What the writer does next.
enum Piece {
    Data(Arc<Window>, Vec<Range<u64>>),
    Zeros(Vec<Range<u64>>),
    /// All below this offset was passed.
    Until(u64),
    End,
}

/// What the writer has done.
enum Passed {
    Until(u64, u64),
    End,
}

/// Writes and checks what `plan` has for `card`, and its first MiB last.
pub(super) fn run(
    card: &CardWriter,
    plan: &Plan,
    (proof, still): &(Proof, Still),
    windows: &Windows<'_>,
    progress: &dyn Progress,
) -> Result<Done, Error> {
    let (name, node) = (&card.target.card_name, &card.target.node);
    let writing = progress.begin(&format!("writing {node} to {name}"), Some(plan.todo.total() + HEAD));
    if let Some(wrong) = &card.checked.wrong {
        progress.note(&format!(
            "{name}: what was written at byte {} did not read back at first; it is compared once more",
            wrong.start
        ));
    }
    let mut verifier = Verifier::new(card, &*plan.image);
    let reading = card.options.verify.then(|| {
        let step = progress.begin(&format!("checking {name}"), Some(plan.to_check()));
        (step, &mut verifier)
    });
    let reading = thread::scope(|scope| {
        let (to_writer, pieces) = bounded(1);
        let (to_verifier, passed) = bounded(AHEAD);
        let reader = scope.spawn(move || read(card, plan, windows, &to_writer));
        let step = &*writing;
        let follower = scope.spawn(move || follow(card, plan, &passed, step, reading, progress));
        let written = write(card, &pieces, &to_verifier);
        drop((pieces, to_verifier));
        let read = returned(reader.join());
        let (step, fault) = match returned(follower.join()) {
            Ok(step) => (step, None),
            Err(fault) => (None, Some(fault)),
        };
        let faults = [fault, written.err(), read.err()];
        cause(faults.into_iter().flatten().collect()).map_or(Ok(step), Err)
    })?;

    // The image covers the probes before its end.
    if let Some(probe) = &card.probe {
        let len = plan.image.len();
        if let Some(offset) = probe.missing(card.card(), len).map_err(card.io("probing", len))? {
            return Err(card.bad(offset, false));
        }
    }
    let head = head(plan)?;
    if card.options.verify {
        verifier.samples(&plan.used)?;
        let reader =
            Arc::new(CardReader::new(Arc::clone(&card.target.card), plan.image.len(), head.to_vec()));
        let cached = Arc::new(Cached::new(Arc::clone(&reader), PROOF_BLOCK));
        proof(cached).map_err(|failure| match reader.take_fault() {
            Some((offset, fault)) if card.is_gone(&fault) => card.io("reading back", offset)(fault),
            _ => Error::Proof { card: name.clone(), source: failure.into() },
        })?;
    }
    still().map_err(|failure| Error::Changed { node: node.clone(), source: failure.into() })?;
    card.check()?;
    write_head(card, &head, &mut verifier, plan)?;
    writing.advance(HEAD);
    writing.finish();
    if let Some(step) = reading {
        step.finish();
    }
    let verified = if card.options.verify { plan.used.total() + HEAD } else { HEAD };
    Ok(Done { written: card.done.total() + plan.todo.total() + HEAD, verified, again: verifier.again() })
}

fn read(card: &CardWriter, plan: &Plan, windows: &Windows<'_>, out: &Sender<Piece>) -> Result<(), Error> {
    let send = |piece| out.send(piece).map_err(|_| Error::Cancelled);
    let changed = plan.patch.ranges();
    let end = plan.image.len();
    let mut offset = 0;
    while offset < end {
        let window = offset..offset + WINDOW;
        let data: Vec<_> = plan.data.within(window.clone()).collect();
        let zeros: Vec<_> = plan.zeros.within(window.clone()).collect();
        let touched = !data.is_empty() || !zeros.is_empty();
        if !data.is_empty() {
            card.check()?;
            let mut bytes = windows.get(offset)?;
            if changed.within(window.clone()).next().is_some() {
                bytes = Arc::new(windows.patched(&bytes, &plan.patch)?);
            }
            send(Piece::Data(bytes, data))?;
        }
        if !zeros.is_empty() {
            send(Piece::Zeros(zeros))?;
        }
        offset = window.end;
        if touched || offset >= end {
            send(Piece::Until(offset.min(end)))?;
        }
    }
    send(Piece::End)
}

fn write(card: &CardWriter, pieces: &Receiver<Piece>, out: &Sender<Passed>) -> Result<(), Error> {
    let send = |passed| out.send(passed).map_err(|_| Error::Cancelled);
    let sector = card.card().sector();
    let mut since = 0;
    for piece in pieces {
        card.check()?;
        match piece {
            Piece::Data(window, ranges) => {
                for range in ranges {
                    // what lies behind the end of the image is zero in the window
                    let whole = range.start..range.end.next_multiple_of(sector);
                    let bytes = window.bytes(&whole);
                    card.card().write_at(range.start, bytes).map_err(card.io("writing", range.start))?;
                    since += range.end - range.start;
                }
            }
            Piece::Zeros(ranges) => {
                for range in ranges {
                    let whole = range.start..range.end.next_multiple_of(sector);
                    card.card().zero(whole).map_err(card.io("writing", range.start))?;
                    since += range.end - range.start;
                }
            }
            Piece::Until(offset) => send(Passed::Until(offset, std::mem::take(&mut since)))?,
            Piece::End => return send(Passed::End),
        }
    }
    // the reader has ended before its time and says why
    Err(Error::Cancelled)
}

/// Has the card store what was written, and compares it.
fn follow<'a>(
    card: &CardWriter,
    plan: &Plan,
    passed: &Receiver<Passed>,
    writing: &dyn Step,
    mut reading: Option<(Box<dyn Step>, &mut Verifier<'a>)>,
    progress: &dyn Progress,
) -> Result<Option<Box<dyn Step>>, Error> {
    let (mut until, mut pending, mut checked) = (HEAD, 0, HEAD);
    let mut left = plan.todo.total();
    let mut synced = Instant::now();
    if let Some((step, verifier)) = &mut reading
        && !plan.unchecked.is_empty()
    {
        card.card().sync().map_err(card.io("storing what was written to", HEAD))?;
        for range in plan.unchecked.iter() {
            verifier.range(range, progress, |n| step.advance(n))?;
        }
    }
    for news in passed {
        let ended = match news {
            Passed::Until(offset, bytes) => {
                until = offset;
                pending += bytes;
                false
            }
            Passed::End => true,
        };
        let is_time = match &reading {
            Some(_) => pending >= (left / SYNC_PART).clamp(SYNC_LEAST, SYNC_EVERY),
            None => pending >= SYNC_EVERY && synced.elapsed() >= SYNC_PAUSE,
        };
        if !is_time && !ended {
            continue;
        }
        card.card().sync().map_err(card.io("storing what was written to", checked))?;
        left = left.saturating_sub(pending);
        writing.advance(std::mem::take(&mut pending));
        synced = Instant::now();
        if let Some((step, verifier)) = &mut reading {
            for range in plan.todo.within(checked..until.max(checked)) {
                verifier.range(range, progress, |n| step.advance(n))?;
            }
        }
        checked = until.max(checked);
        if ended {
            return Ok(reading.map(|(step, _)| step));
        }
    }
    Err(Error::Cancelled)
}

fn head(plan: &Plan) -> Result<AlignedBuf, Error> {
    let mut head = AlignedBuf::zeroed(HEAD as usize);
    let there = plan.image.len().min(HEAD) as usize;
    plan.image
        .read_at(0, &mut head[..there])
        .map_err(|source| Error::Base { path: "the image that is written".into(), source: source.into() })?;
    Ok(head)
}

/// The first MiB, and of it the block with the partition table last of all: until that one is there,
/// nothing on the card is found.
fn write_head(
    card: &CardWriter,
    head: &AlignedBuf,
    verifier: &mut Verifier<'_>,
    plan: &Plan,
) -> Result<(), Error> {
    let drive = card.card();
    card.is_last.store(true, Ordering::Relaxed);
    drive.write_at(UNIT, &head[UNIT as usize..]).map_err(card.io("writing", UNIT))?;
    drive.sync().map_err(card.io("writing", UNIT))?;
    drive.write_at(0, &head[..UNIT as usize]).map_err(card.io("writing", 0))?;
    drive.sync().map_err(card.io("writing", 0))?;
    let mut read = AlignedBuf::zeroed(HEAD as usize);
    drive.read_at(0, &mut read).map_err(card.io("reading back", 0))?;
    if let Some(first) = read.iter().zip(head.iter()).position(|(a, b)| a != b) {
        return Err(card.bad(first as u64, false));
    }
    if card.options.verify {
        // on a card that wraps around, the first MiB lies over the end of the image now
        let len = plan.image.len();
        let end = plan.used.within(len.saturating_sub(2 * HEAD)..len).collect::<Vec<_>>();
        end.into_iter().try_for_each(|range| verifier.strictly(range))?;
    }
    Ok(())
}
