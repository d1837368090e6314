//! A card in memory, with faults.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::io::Errno;

use super::device::Card;
use crate::io::CancelToken;

/// What is wrong with a card. Writes and reads are counted from 1.
#[derive(Default, Clone)]
pub(super) struct Faults {
    /// This write is answered with EIO.
    pub fail_write: Option<u64>,
    /// These reads are answered with EIO.
    pub fail_reads: Option<Range<u64>>,
    /// Each write of this number is answered with success, and forgotten.
    pub drop_every: Option<u64>,
    /// Only so many bytes are there; what lies behind is the beginning again.
    pub wraps_at: Option<u64>,
    /// Only so many bytes are there; what lies behind is forgotten.
    pub ends_at: Option<u64>,
    /// After so many transfers the drive is gone.
    pub vanishes_after: Option<u64>,
    /// This byte always reads with one bit changed.
    pub flips: Option<u64>,
    /// With this transfer the user asks for the end.
    pub cancel: Option<(u64, CancelToken)>,
    /// Every write waits until the gate is open.
    pub gate: Option<Arc<Gate>>,
}

/// Something to wait for, but not forever.
#[derive(Default)]
pub(super) struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    pub waited_in_vain: AtomicBool,
}

impl Gate {
    pub(super) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let (open, patience) = (self.open.lock().unwrap(), Duration::from_secs(20));
        let (_open, ended) = self.opened.wait_timeout_while(open, patience, |open| !*open).unwrap();
        if ended.timed_out() {
            self.waited_in_vain.store(true, Ordering::Relaxed);
            self.open();
        }
    }
}

pub(super) struct MockCard {
    len: u64,
    faults: Faults,
    state: Mutex<State>,
}

struct State {
    bytes: Vec<u8>,
    writes: Vec<Range<u64>>,
    reads: u64,
    bytes_read: u64,
}

impl MockCard {
    /// A card full of what was on it before.
    pub(super) fn new(len: u64, faults: Faults) -> Arc<Self> {
        let state = State { bytes: vec![0xa5; len as usize], writes: Vec::new(), reads: 0, bytes_read: 0 };
        Arc::new(Self { len, faults, state: Mutex::new(state) })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().bytes.clone()
    }

    pub(super) fn writes(&self) -> Vec<Range<u64>> {
        self.state.lock().unwrap().writes.clone()
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.state.lock().unwrap().bytes_read
    }

    fn transfer(&self, transfers: u64) -> io::Result<()> {
        if let Some((at, cancel)) = &self.faults.cancel
            && transfers >= *at
        {
            cancel.cancel();
        }
        match self.faults.vanishes_after {
            Some(last) if transfers > last => Err(Errno::NODEV.into()),
            _ => Ok(()),
        }
    }

    fn is_honest(&self) -> bool {
        self.faults.wraps_at.is_none() && self.faults.ends_at.is_none()
    }

    /// Where on the chip a byte is; none where there is none.
    fn place(&self, at: u64) -> Option<usize> {
        match self.faults {
            Faults { wraps_at: Some(real), .. } => Some((at % real) as usize),
            Faults { ends_at: Some(real), .. } if at >= real => None,
            _ => Some(at as usize),
        }
    }

    /// Puts `bytes`, or zeros where there are none.
    fn put(&self, offset: u64, len: u64, bytes: Option<&[u8]>) -> io::Result<()> {
        assert!(offset.is_multiple_of(512) && len.is_multiple_of(512), "{offset} {len}");
        assert!(offset + len <= self.len, "a write outside: {offset} {len}");
        if let Some(gate) = &self.faults.gate {
            gate.wait();
        }
        let mut state = self.state.lock().unwrap();
        state.writes.push(offset..offset + len);
        let number = state.writes.len() as u64;
        self.transfer(number + state.reads)?;
        if self.faults.fail_write == Some(number) {
            return Err(Errno::IO.into());
        }
        if self.faults.drop_every.is_some_and(|every| number.is_multiple_of(every)) {
            return Ok(());
        }
        // sector by sector: a chip may end or begin anew at any
        let mut at = 0;
        while at < len {
            let step = if self.is_honest() { len } else { 512 };
            if let Some(place) = self.place(offset + at) {
                let target = &mut state.bytes[place..place + step as usize];
                match bytes {
                    Some(bytes) => target.copy_from_slice(&bytes[at as usize..(at + step) as usize]),
                    None => target.fill(0),
                }
            }
            at += step;
        }
        Ok(())
    }
}

impl Card for MockCard {
    fn len(&self) -> u64 {
        self.len
    }

    fn sector(&self) -> u64 {
        512
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.put(offset, bytes.len() as u64, Some(bytes))
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.put(range.start, range.end - range.start, None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(offset + buffer.len() as u64 <= self.len, "a read outside");
        let mut state = self.state.lock().unwrap();
        state.reads += 1;
        state.bytes_read += buffer.len() as u64;
        self.transfer(state.reads + state.writes.len() as u64)?;
        if self.faults.fail_reads.as_ref().is_some_and(|failing| failing.contains(&state.reads)) {
            return Err(Errno::IO.into());
        }
        let step = if self.is_honest() { buffer.len() } else { 512 };
        for (n, part) in buffer.chunks_mut(step).enumerate() {
            match self.place(offset + (n * step) as u64) {
                Some(place) => part.copy_from_slice(&state.bytes[place..place + part.len()]),
                None => part.fill(0),
            }
        }
        if let Some(flipped) = self.faults.flips.and_then(|at| at.checked_sub(offset))
            && let Some(byte) = buffer.get_mut(flipped as usize)
        {
            *byte ^= 1;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        self.transfer(state.reads + state.writes.len() as u64)
    }

    fn discard(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn is_there(&self) -> bool {
        let state = self.state.lock().unwrap();
        self.transfer(state.reads + state.writes.len() as u64).is_ok()
    }
}
