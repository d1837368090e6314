//! Progress in plain lines, for logs and pipes.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::duration::human_duration;
use super::meter::Meter;
use super::say::message;
use super::visible_line;
use crate::io::human_bytes;
use crate::progress::{Progress, Step};

/// A line at most this often for each step: enough to see that it lives, few enough for a CI log.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes a line every five seconds while a step lasts, and one when it ends.
pub struct Lines {
    outside: Arc<dyn Outside>,
}

/// What lines are written to and timed by.
trait Outside: Send + Sync {
    /// Time since some moment in the past.
    fn now(&self) -> Duration;
    fn say(&self, text: &str);
}

struct Stderr {
    begun: Instant,
}

impl Outside for Stderr {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn say(&self, text: &str) {
        // Whoever closed stderr does not want to hear.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines {
    /// Lines on stderr. Nothing is written until the first step has lasted for a while or ends.
    #[must_use]
    pub fn new() -> Self {
        Self { outside: Arc::new(Stderr { begun: Instant::now() }) }
    }
}

impl Progress for Lines {
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Step> {
        let now = self.outside.now();
        let state = State { meter: Meter::new(total, now), said: now, finished: false };
        let outside = Arc::clone(&self.outside);
        Box::new(Line { what: visible_line(what).into_owned(), outside, state: Mutex::new(state) })
    }

    fn note(&self, text: &str) {
        self.outside.say(&message(text));
    }

    fn wait(&self, text: &str) {
        self.note(text);
    }

    fn warn(&self, text: &str) {
        self.outside.say(&message(text));
    }

    fn fail(&self, text: &str) {
        self.warn(text);
    }
}

struct Line {
    what: String,
    outside: Arc<dyn Outside>,
    state: Mutex<State>,
}

struct State {
    meter: Meter,
    said: Duration,
    finished: bool,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn update(&self, change: impl FnOnce(&mut Meter, Duration)) {
        let mut state = self.state();
        let now = self.outside.now();
        change(&mut state.meter, now);
        if now.saturating_sub(state.said) >= INTERVAL {
            state.said = now;
            self.outside.say(&(self.amount(&state.meter) + &rate(&state.meter, now)));
        }
    }

    /// `downloading x: 5.0 MiB of 100.0 MiB (5 %)`.
    fn amount(&self, meter: &Meter) -> String {
        let mut text = format!("{}: {}", self.what, human_bytes(meter.position));
        if let Some((total, share)) = meter.total.zip(meter.percent()) {
            text += &format!(" of {} ({share} %)", human_bytes(total));
        }
        text
    }
}

/// `, 1.0 MiB/s, 1 min 35 s left`, as far as that can be known.
fn rate(meter: &Meter, now: Duration) -> String {
    let Some(rate) = meter.rate(now).filter(|rate| *rate > 0) else {
        return String::new();
    };
    let left = meter.left(now).map_or_else(String::new, |left| format!(", {} left", human_duration(left)));
    format!(", {}/s{left}", human_bytes(rate))
}

impl Step for Line {
    fn advance(&self, n: u64) {
        self.update(|meter, now| meter.advance(n, now));
    }
    fn set_position(&self, n: u64) {
        self.update(|meter, now| meter.set_position(n, now));
    }
    fn set_total(&self, total: u64) {
        self.update(|meter, _| meter.total = Some(total));
    }
    fn finish(&self) {
        let mut state = self.state();
        state.finished = true;
        let took = state.meter.elapsed(self.outside.now());
        self.outside.say(&format!("{}: done in {}", self.what, human_duration(took)));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let state = self.state();
        if !state.finished {
            self.outside.say(&(self.amount(&state.meter) + ", stopped"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that stands still until it is moved, and what was said.
    #[derive(Default)]
    struct Fake {
        now: Mutex<Duration>,
        said: Mutex<Vec<String>>,
    }

    impl Fake {
        fn pass(&self, milliseconds: u64) {
            *self.now.lock().unwrap() += Duration::from_millis(milliseconds);
        }
    }

    impl Outside for Fake {
        fn now(&self) -> Duration {
            *self.now.lock().unwrap()
        }
        fn say(&self, text: &str) {
            self.said.lock().unwrap().push(format!("{:>6.1}  {text}", self.now().as_secs_f64()));
        }
    }

    /// What is said of a step, each line with the time that it comes at.
    fn said(act: impl FnOnce(&Lines, &Fake)) -> String {
        let fake = Arc::new(Fake::default());
        let lines = Lines { outside: Arc::clone(&fake) as Arc<dyn Outside> };
        act(&lines, &fake);
        let said = fake.said.lock().unwrap();
        said.join("\n")
    }

    #[test]
    fn a_download_tells_amount_share_rate_and_time_left() {
        let text = said(|lines, clock| {
            let step = lines.begin("downloading x.img.xz", None);
            step.set_total(100 << 20);
            for second in 0..20 {
                clock.pass(1000);
                // it becomes faster
                step.advance(if second < 10 { 2 << 20 } else { 8 << 20 });
            }
            step.finish();
        });
        insta::assert_snapshot!(text, @r"
           5.0  downloading x.img.xz: 10.0 MiB of 100.0 MiB (10 %), 2.0 MiB/s, 45.0 s left
          10.0  downloading x.img.xz: 20.0 MiB of 100.0 MiB (20 %), 2.0 MiB/s, 40.0 s left
          15.0  downloading x.img.xz: 60.0 MiB of 100.0 MiB (60 %), 5.0 MiB/s, 8.0 s left
          20.0  downloading x.img.xz: 100.0 MiB of 100.0 MiB (100 %), 8.0 MiB/s
          20.0  downloading x.img.xz: done in 20.0 s
        ");
    }

    #[test]
    fn what_an_earlier_run_fetched_says_nothing_of_the_rate() {
        let text = said(|lines, clock| {
            let step = lines.begin("downloading x.img.xz", Some(100 << 20));
            clock.pass(3000);
            step.set_position(60 << 20);
            for _ in 0..40 {
                clock.pass(500);
                step.advance(1 << 20);
            }
            step.finish();
        });
        insta::assert_snapshot!(text, @r"
           5.0  downloading x.img.xz: 64.0 MiB of 100.0 MiB (64 %), 2.0 MiB/s, 18.0 s left
          10.0  downloading x.img.xz: 74.0 MiB of 100.0 MiB (74 %), 2.0 MiB/s, 13.0 s left
          15.0  downloading x.img.xz: 84.0 MiB of 100.0 MiB (84 %), 2.0 MiB/s, 8.0 s left
          20.0  downloading x.img.xz: 94.0 MiB of 100.0 MiB (94 %), 2.0 MiB/s, 3.0 s left
          23.0  downloading x.img.xz: done in 23.0 s
        ");
    }

    #[test]
    fn a_short_step_has_one_line_and_one_that_is_given_up_says_how_far_it_was() {
        let text = said(|lines, clock| {
            let step = lines.begin("checking", Some(10));
            clock.pass(40);
            step.advance(10);
            step.finish();
            drop(step);
            let step = lines.begin("downloading x", Some(4 << 20));
            clock.pass(700);
            step.advance(1 << 20);
            lines.note("503 Service Unavailable; trying again in 0.5 s");
        });
        insta::assert_snapshot!(text, @r"
           0.0  checking: done in 40 ms
           0.7  503 Service Unavailable; trying again in 0.5 s
           0.7  downloading x: 1.0 MiB of 4.0 MiB (25 %), stopped
        ");
    }

    #[test]
    fn what_has_no_known_end_has_no_time_left_either() {
        let text = said(|lines, clock| {
            let bytes = lines.begin("reading", None);
            for _ in 0..2 {
                clock.pass(6000);
                bytes.advance(3000);
            }
            // nothing was read for a long time
            clock.pass(3_600_000);
            bytes.advance(0);
            bytes.finish();
        });
        insta::assert_snapshot!(text, @r"
           6.0  reading: 2.9 KiB, 500 B/s
          12.0  reading: 5.9 KiB, 500 B/s
        3612.0  reading: 5.9 KiB
        3612.0  reading: done in 1 h 0 min
        ");
    }
}
