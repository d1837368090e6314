//! What `-v` tells: the rooms' own account of what they do, on stderr.

use std::io::{self, Write};
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::progress::Progress;

/// Where events go: the same way as notes, so that they do not break into a progress bar.
struct Notes(Arc<dyn Progress>);

/// One event, given on as a whole.
struct Event {
    progress: Arc<dyn Progress>,
    text: Vec<u8>,
    is_warning: bool,
}

impl<'a> MakeWriter<'a> for Notes {
    type Writer = Event;
    fn make_writer(&'a self) -> Event {
        Event { progress: Arc::clone(&self.0), text: Vec::new(), is_warning: false }
    }
    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Event {
        let is_warning = *event.level() <= Level::WARN;
        Event { progress: Arc::clone(&self.0), text: Vec::new(), is_warning }
    }
}

impl Write for Event {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        for line in text.lines() {
            if self.is_warning { self.progress.warn(line) } else { self.progress.note(line) }
        }
    }
}

/// Begins to tell what the rooms do: warnings always, with 1 what is done, with 2 each request and lock, with 3 all.
/// The first call in a process decides.
pub fn log(verbosity: u8, progress: Arc<dyn Progress>) {
    let level = match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // the crates below tell of their insides, which is for those who ask for everything
    let others = if level == LevelFilter::TRACE { level } else { LevelFilter::WARN };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_target(verbosity > 1)
        .with_writer(Notes(progress));
    let filter = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(others);
    let events = tracing_subscriber::registry().with(lines).with(filter);
    // an error means that somebody else listens already, as in a test
    let _ = tracing::subscriber::set_global_default(events);
}
