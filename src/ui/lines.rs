//! Progress in plain lines, for logs and pipes.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::bytes::{human_bytes, human_duration};
use crate::progress::{Progress, Step, Unit};

/// A line at most this often for each step: enough to see that it lives, few enough for a CI log.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes a line when a step begins and ends, and one every five seconds between.
#[derive(Debug, Default)]
pub struct Lines;

impl Lines {
    /// Nothing is written until the first step begins.
    pub fn new() -> Self {
        Self
    }
}

fn say(text: &str) {
    // Whoever closed stderr does not want to hear.
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Progress for Lines {
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) -> Box<dyn Step> {
        let now = Instant::now();
        let state = State { position: 0, first: None, total, begun: now, said: now, finished: false };
        Box::new(Line { what: what.to_owned(), unit, state: Mutex::new(state) })
    }

    fn note(&self, text: &str) {
        say(text);
    }
}

struct Line {
    what: String,
    unit: Unit,
    state: Mutex<State>,
}

struct State {
    position: u64,
    /// Where a resumed step began: what was there before says nothing of the rate.
    first: Option<u64>,
    total: Option<u64>,
    begun: Instant,
    said: Instant,
    finished: bool,
}

impl Line {
    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut state);
        if state.said.elapsed() >= INTERVAL {
            state.said = Instant::now();
            say(&self.describe(&state));
        }
    }

    fn describe(&self, state: &State) -> String {
        describe(
            &self.what,
            self.unit,
            state.position,
            state.first.unwrap_or(0),
            state.total,
            state.begun.elapsed(),
        )
    }
}

fn describe(what: &str, unit: Unit, at: u64, first: u64, total: Option<u64>, elapsed: Duration) -> String {
    let amount = |n| match unit {
        Unit::Bytes => human_bytes(n),
        Unit::Items => n.to_string(),
    };
    let mut text = format!("{what}: {}", amount(at));
    if let Some(total) = total.filter(|t| *t > 0) {
        text += &format!(" of {} ({} %)", amount(total), (u128::from(at) * 100 / u128::from(total)).min(100));
    }
    let seconds = elapsed.as_secs_f64();
    let rate = at.saturating_sub(first) as f64 / seconds;
    if unit == Unit::Bytes && seconds > 0.5 && rate >= 1.0 {
        text += &format!(", {}/s", human_bytes(rate as u64));
        if let Some(left) = total.map(|t| t.saturating_sub(at)).filter(|left| *left > 0) {
            text += &format!(", {} left", human_duration(Duration::from_secs_f64(left as f64 / rate)));
        }
    }
    text
}

impl Step for Line {
    fn advance(&self, n: u64) {
        self.update(|s| s.position += n);
    }
    fn set_position(&self, n: u64) {
        self.update(|s| {
            if s.first.is_none() && s.position == 0 {
                s.first = Some(n);
            }
            s.position = n;
        });
    }
    fn set_total(&self, total: u64) {
        self.update(|s| s.total = Some(total));
    }
    fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.finished = true;
        say(&format!("{}: done in {}", self.what, human_duration(state.begun.elapsed())));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !state.finished {
            let at = describe(&self.what, self.unit, state.position, 0, state.total, Duration::ZERO);
            say(&format!("{at}, stopped"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_amount_share_rate_and_time_left() {
        let half =
            describe("downloading", Unit::Bytes, 50 << 20, 0, Some(100 << 20), Duration::from_secs(10));
        assert_eq!(half, "downloading: 50.0 MiB of 100.0 MiB (50 %), 5.0 MiB/s, 10.0 s left");
        let resumed = describe(
            "downloading",
            Unit::Bytes,
            50 << 20,
            40 << 20,
            Some(100 << 20),
            Duration::from_secs(10),
        );
        assert_eq!(resumed, "downloading: 50.0 MiB of 100.0 MiB (50 %), 1.0 MiB/s, 50.0 s left");
        assert_eq!(describe("baking", Unit::Items, 2, 0, Some(4), Duration::ZERO), "baking: 2 of 4 (50 %)");
        assert_eq!(describe("reading", Unit::Bytes, 7, 0, None, Duration::ZERO), "reading: 7 B");
    }
}
