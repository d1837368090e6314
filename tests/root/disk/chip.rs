//! What is behind a drive: memory for what was written, faults, and the notes of what was asked.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use fuser::Errno;
use rustix::process::{Pid, Signal};

use super::notes::{Asked, Note, Notes};
use super::pace::Pace;

const BLOCK: u64 = 4096;
const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
/// What was on the card before, everywhere; nothing that a node has.
pub const BEFORE: u8 = 0xa5;

static TURNS: AtomicU64 = AtomicU64::new(0);

/// What is wrong with a drive. Requests are counted from 1, writes and reads each for themselves.
#[derive(Default, Clone)]
pub struct Faults {
    /// These writes are answered with an error.
    pub fail_writes: Option<(Range<u64>, Errno)>,
    /// These reads are answered with an error.
    pub fail_reads: Option<(Range<u64>, Errno)>,
    /// These flushes are answered with an error.
    pub fail_flushes: Option<Range<u64>>,
    /// After so many requests the drive is gone, and every request gets this answer.
    pub gone_after: Option<(u64, Errno)>,
    /// Only so many bytes are there; what lies behind is the beginning again.
    pub wraps_at: Option<u64>,
    /// Only so many bytes are there; what lies behind is forgotten.
    pub ends_at: Option<u64>,
    /// Each write of this number is granted, and forgotten.
    pub drop_every: Option<u64>,
    /// After so many writes all others are granted, and forgotten: how worn cards end.
    pub frozen_after: Option<u64>,
    /// This byte always reads with one bit changed.
    pub flips: Option<u64>,
    /// Every request tells this.
    pub sets_pace: Option<Arc<Pace>>,
    /// Every request waits for this.
    pub keeps_pace: Option<Arc<Pace>>,
    /// With this request, counting all of them, a process gets a signal.
    pub kills: Option<(u64, Pid, Signal)>,
    /// What is written is noted, too.
    pub keep: bool,
}

pub struct Chip {
    len: u64,
    is_out: AtomicBool,
    state: Mutex<State>,
    asked: Condvar,
}

#[derive(Default)]
struct State {
    /// What was written; none is a block of zeros.
    blocks: HashMap<u64, Option<Box<[u8]>>>,
    faults: Faults,
    notes: Notes,
    writes: u64,
    reads: u64,
    flushes: u64,
}

impl Chip {
    pub fn new(len: u64) -> Self {
        assert!(len.is_multiple_of(512));
        Self { len, is_out: AtomicBool::new(false), state: Mutex::default(), asked: Condvar::new() }
    }

    /// What a card is sold as.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// What the kernel is told.
    pub fn len(&self) -> u64 {
        if self.is_out.load(Ordering::Relaxed) { 0 } else { self.len }
    }

    /// There is no card any more.
    pub fn pull_out(&self) {
        self.is_out.store(true, Ordering::Relaxed);
    }

    /// Begins to count and note anew, with other faults; what is on the chip stays.
    pub fn refit(&self, faults: Faults) {
        let mut state = self.state();
        let blocks = std::mem::take(&mut state.blocks);
        *state = State { blocks, faults, ..State::default() };
    }

    /// Waits until it was asked so much.
    pub fn wait_for(&self, requests: usize) {
        let state = self.state();
        drop(self.asked.wait_while(state, |state| state.notes.0.len() < requests).unwrap());
    }

    /// Puts what was on the card before into its first `len` bytes.
    pub fn soil(&self, len: u64) {
        let mut state = self.state();
        (0..len.div_ceil(BLOCK)).for_each(|n| drop(state.blocks.remove(&n)));
    }

    /// From now on nothing is wrong with it any longer.
    pub fn mend(&self) {
        let faults = std::mem::take(&mut self.state().faults);
        faults.keeps_pace.inspect(|pace| pace.release());
    }

    pub fn notes(&self) -> Notes {
        self.state().notes.clone()
    }

    /// What is on the chip, for a reader that makes no mistakes.
    pub fn bytes(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.state().fetch(offset, &mut bytes);
        bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a test that failed is cleaned up as well
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let mut state = self.enter(Asked::Read(offset..offset + buffer.len() as u64), None)?;
        state.reads += 1;
        let number = state.reads;
        if let Some((_, errno)) =
            state.faults.fail_reads.as_ref().filter(|(which, _)| which.contains(&number))
        {
            return Err(*errno);
        }
        state.fetch(offset, buffer);
        if let Some(flipped) = state.faults.flips.and_then(|at| at.checked_sub(offset))
            && let Some(byte) = buffer.get_mut(flipped as usize)
        {
            *byte ^= 0x10;
        }
        state.grant();
        Ok(())
    }

    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let asked = Asked::Write(offset..offset + bytes.len() as u64);
        let mut state = self.enter(asked, Some(bytes))?;
        state.writes += 1;
        let number = state.writes;
        if let Some((_, errno)) =
            state.faults.fail_writes.as_ref().filter(|(which, _)| which.contains(&number))
        {
            return Err(*errno);
        }
        state.grant();
        let faults = &state.faults;
        let dropped = faults.drop_every.is_some_and(|every| number.is_multiple_of(every));
        if dropped || faults.frozen_after.is_some_and(|last| number > last) {
            return Ok(());
        }
        for (from, place, len) in state.places(offset, bytes.len() as u64) {
            if let Some(place) = place {
                state.put(place, &bytes[from as usize..(from + len) as usize]);
            }
        }
        Ok(())
    }

    pub fn flush(&self) -> Result<(), Errno> {
        let mut state = self.enter(Asked::Flush, None)?;
        state.flushes += 1;
        if state.faults.fail_flushes.as_ref().is_some_and(|which| which.contains(&state.flushes)) {
            return Err(Errno::EIO);
        }
        state.grant();
        Ok(())
    }

    /// Notes a request, and does what is to be done with each.
    fn enter(&self, asked: Asked, bytes: Option<&[u8]>) -> Result<MutexGuard<'_, State>, Errno> {
        let (sets, keeps) = {
            let state = self.state();
            (state.faults.sets_pace.clone(), state.faults.keeps_pace.clone())
        };
        sets.inspect(|pace| pace.step());
        keeps.inspect(|pace| pace.wait());
        let mut state = self.state();
        let bytes = bytes.filter(|_| state.faults.keep).map(Box::from);
        let turn = TURNS.fetch_add(1, Ordering::Relaxed);
        state.notes.0.push(Note { turn, asked, bytes, granted: false });
        self.asked.notify_all();
        let requests = state.notes.0.len() as u64;
        if let Some((_, pid, signal)) = state.faults.kills.filter(|(at, ..)| *at == requests) {
            // it may have ended by itself
            let _ = rustix::process::kill_process(pid, signal);
        }
        match state.faults.gone_after {
            Some((last, errno)) if requests > last => Err(errno),
            _ => Ok(state),
        }
    }
}

impl State {
    fn grant(&mut self) {
        if let Some(note) = self.notes.0.last_mut() {
            note.granted = true;
        }
    }

    /// Where on the chip bytes are: pieces as (where in the request, place on the chip, length).
    fn places(&self, offset: u64, len: u64) -> Vec<(u64, Option<u64>, u64)> {
        let (real, wraps) = match (self.faults.wraps_at, self.faults.ends_at) {
            (Some(real), _) => (real, true),
            (None, Some(real)) => (real, false),
            (None, None) => return vec![(0, Some(offset), len)],
        };
        let (mut pieces, mut from) = (Vec::new(), 0);
        while from < len {
            let at = offset + from;
            let (place, rest) = match wraps {
                true => (Some(at % real), real - at % real),
                false if at < real => (Some(at), real - at),
                false => (None, len),
            };
            let step = rest.min(len - from);
            pieces.push((from, place, step));
            from += step;
        }
        pieces
    }

    /// What a reader gets that asks for these bytes.
    fn fetch(&self, offset: u64, buffer: &mut [u8]) {
        for (from, place, len) in self.places(offset, buffer.len() as u64) {
            let part = &mut buffer[from as usize..(from + len) as usize];
            match place {
                Some(place) => self.get(place, part),
                None => part.fill(0),
            }
        }
    }

    fn get(&self, offset: u64, buffer: &mut [u8]) {
        for (number, within, part) in blocks(offset, buffer.len()) {
            let to = &mut buffer[part];
            match self.blocks.get(&number) {
                Some(Some(block)) => to.copy_from_slice(&block[within..within + to.len()]),
                Some(None) => to.fill(0),
                None => to.fill(BEFORE),
            }
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        for (number, within, part) in blocks(offset, bytes.len()) {
            let from = &bytes[part];
            if from.len() == BLOCK as usize && from == ZEROS {
                self.blocks.insert(number, None);
                continue;
            }
            let fresh = |byte| vec![byte; BLOCK as usize].into_boxed_slice();
            let block = self.blocks.entry(number).or_insert_with(|| Some(fresh(BEFORE)));
            let block = block.get_or_insert_with(|| fresh(0));
            block[within..within + from.len()].copy_from_slice(from);
        }
    }
}

/// The blocks that `len` bytes from `offset` on lie in: number, where in the block, which of the bytes.
fn blocks(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = offset + from as u64;
        let within = (at % BLOCK) as usize;
        let n = (len - from).min(BLOCK as usize - within);
        let part = from..from + n;
        from += n;
        (n > 0).then_some((at / BLOCK, within, part))
    })
}
