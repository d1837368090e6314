//! A drive that goes as slowly as another one goes on: no clock is asked.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// So many requests of the fast drive go by for each of the slow one.
const SLOWER: u64 = 10;
/// The fast drive has all of this for its next request. If none comes, it waits for the slow one, which
/// is what must not be.
const PATIENCE: Duration = Duration::from_secs(60);

/// What two drives share.
#[derive(Default)]
pub struct Pace {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    fast: u64,
    slow: u64,
    free: bool,
    in_vain: bool,
}

impl Pace {
    /// The fast drive was asked for something.
    pub fn step(&self) {
        self.state.lock().unwrap().fast += 1;
        self.moved.notify_all();
    }

    /// Waits until the slow drive may do the next thing. Before the fast one has begun, at once.
    pub fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        if state.fast == 0 {
            return;
        }
        state.slow += 1;
        while !state.free && state.fast < state.slow * SLOWER {
            let before = state.fast;
            let (now, waited) = self.moved.wait_timeout(state, PATIENCE).unwrap();
            state = now;
            if waited.timed_out() && state.fast == before && !state.free {
                state.in_vain = true;
                state.free = true;
            }
        }
    }

    /// The slow drive is slow no longer.
    pub fn release(&self) {
        self.state.lock().unwrap().free = true;
        self.moved.notify_all();
    }

    /// Whether the fast drive stood still while the slow one waited for it.
    pub fn was_in_vain(&self) -> bool {
        self.state.lock().unwrap().in_vain
    }
}
