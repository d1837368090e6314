//! Progress for programs: one JSON object a line on stderr.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::meter::Meter;
use super::visible::visible_json;
use crate::progress::{Progress, Step};

/// A step tells how far it is at most this often.
const INTERVAL: Duration = Duration::from_millis(500);

/// A line. docs/json.md describes the fields.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) version: u32,
    pub(crate) event: Kind,
    /// Seconds since the run began.
    pub(crate) at: f64,
    pub(crate) text: String,
    /// A step's number in this run, from 1.
    pub(crate) step: Option<u64>,
    pub(crate) done_bytes: Option<u64>,
    pub(crate) total_bytes: Option<u64>,
    /// Over the last seconds.
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) seconds_left: Option<u64>,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A step begins.
    Begin,
    /// A step goes on.
    Progress,
    /// A step is done.
    Done,
    /// A step was given up.
    Stopped,
    /// Something to know.
    Note,
    /// Something is probably not intended.
    Warning,
    /// What ended the run.
    Error,
}

/// Tells what happens in lines of JSON.
pub(crate) struct Events(Arc<Stream>);

struct Stream {
    version: u32,
    begun: Instant,
    steps: AtomicU64,
    out: Box<dyn Fn(&str) + Send + Sync>,
}

impl Events {
    /// On stderr, in this version of the form.
    pub(crate) fn new(version: u32) -> Self {
        // Whoever closed stderr does not want to hear.
        Self::to(version, |line| drop(writeln!(std::io::stderr(), "{line}")))
    }

    fn to(version: u32, out: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let (begun, steps) = (Instant::now(), AtomicU64::new(0));
        Self(Arc::new(Stream { version, begun, steps, out: Box::new(out) }))
    }
}

impl Stream {
    fn tell(&self, event: Kind, text: &str, step: Option<(u64, &Meter)>) {
        let now = self.begun.elapsed();
        let meter = step.map(|(_, meter)| meter);
        let event = Event {
            version: self.version,
            event,
            at: now.as_millis() as f64 / 1000.0,
            text: text.to_owned(),
            step: step.map(|(number, _)| number),
            done_bytes: meter.map(|meter| meter.position),
            total_bytes: meter.and_then(|meter| meter.total),
            bytes_per_second: meter.and_then(|meter| meter.rate(now)),
            seconds_left: meter.and_then(|meter| meter.left(now)).map(|left| left.as_secs()),
        };
        // numbers and texts always have a form in JSON
        if let Ok(line) = serde_json::to_string(&event) {
            (self.out)(&visible_json(&line));
        }
    }
}

impl Progress for Events {
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Step> {
        let number = self.0.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let begun = self.0.begun.elapsed();
        let meter = Meter::new(total, begun);
        self.0.tell(Kind::Begin, what, Some((number, &meter)));
        let state = Mutex::new(State { meter, said: begun, is_over: false });
        Box::new(Told { stream: Arc::clone(&self.0), what: what.to_owned(), number, state })
    }

    fn note(&self, text: &str) {
        self.0.tell(Kind::Note, text, None);
    }

    fn wait(&self, text: &str) {
        self.note(text);
    }

    fn warn(&self, text: &str) {
        self.0.tell(Kind::Warning, text.strip_prefix("warning: ").unwrap_or(text), None);
    }

    fn fail(&self, text: &str) {
        self.0.tell(Kind::Error, text.strip_prefix("error: ").unwrap_or(text), None);
    }
}

struct Told {
    stream: Arc<Stream>,
    what: String,
    number: u64,
    state: Mutex<State>,
}

struct State {
    meter: Meter,
    said: Duration,
    is_over: bool,
}

impl Told {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Meter, Duration)) {
        let (mut state, now) = (self.state(), self.stream.begun.elapsed());
        change(&mut state.meter, now);
        if now.saturating_sub(state.said) >= INTERVAL {
            state.said = now;
            self.stream.tell(Kind::Progress, &self.what, Some((self.number, &state.meter)));
        }
    }

    fn end(&self, kind: Kind) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_over, true) {
            self.stream.tell(kind, &self.what, Some((self.number, &state.meter)));
        }
    }
}

impl Step for Told {
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
        self.end(Kind::Done);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.end(Kind::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_object_and_a_step_ends_once() {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&lines);
        let events = Events::to(7, move |line| kept.lock().unwrap().push(line.to_owned()));
        let step = events.begin("writing \"a\"\n", None);
        step.set_total(10);
        step.advance(10);
        step.finish();
        drop(step);
        drop(events.begin("looking", Some(2)));
        events.note("a\x1b\u{9b}\u{202e}b");
        events.warn("warning: careful");
        events.fail("error: broken\n  because: it fell");
        let lines = lines.lock().unwrap();
        let read: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> =
            read.iter().map(|e| (e.event, e.text.as_str(), e.step, e.done_bytes, e.total_bytes)).collect();
        assert_eq!(
            told,
            [
                (Kind::Begin, "writing \"a\"\n", Some(1), Some(0), None),
                (Kind::Done, "writing \"a\"\n", Some(1), Some(10), Some(10)),
                (Kind::Begin, "looking", Some(2), Some(0), Some(2)),
                (Kind::Stopped, "looking", Some(2), Some(0), Some(2)),
                (Kind::Note, "a\x1b\u{9b}\u{202e}b", None, None, None),
                (Kind::Warning, "careful", None, None, None),
                (Kind::Error, "broken\n  because: it fell", None, None, None),
            ]
        );
        assert!(
            lines.iter().all(|line| !line.contains(['\n', '\x1b', '\u{9b}', '\u{202e}']))
                && read.iter().all(|e| e.version == 7)
        );
    }
}
