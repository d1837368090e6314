//! What people and scripts see: progress on stderr, tables and JSON on stdout.

mod bars;
mod duration;
mod lines;
mod log;
mod path;
mod table;
mod visible;

pub use bars::Bars;
pub use duration::human_duration;
pub use lines::Lines;
pub use path::{put_bytes, put_path};
pub use table::Table;
pub use visible::{visible, visible_line};

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use crate::error::{Doing, DoingAs, ErrorClass, Failure};
use crate::progress::{Progress, Silent};

/// How a command talks, as the flags that all commands share have it.
#[derive(Clone)]
pub struct Ui {
    json: bool,
    progress: Arc<dyn Progress>,
}

impl Ui {
    /// `json`: results as JSON on stdout. `quiet`: no progress, no notes. Bars are drawn only
    /// where stderr is a terminal; elsewhere progress comes in plain lines.
    #[must_use]
    pub fn new(json: bool, quiet: bool) -> Self {
        let progress: Arc<dyn Progress> = if quiet {
            Arc::new(Silent)
        } else if io::stderr().is_terminal() {
            Arc::new(Bars::new())
        } else {
            Arc::new(Lines::new())
        };
        Self { json, progress }
    }

    /// Begins to tell what the rooms do, the more of it the larger `verbosity` is: 1 what is done, 2
    /// each request and lock, 3 all. Once in a process.
    pub fn tell(&self, verbosity: u8) {
        log::init(verbosity, Arc::clone(&self.progress));
    }

    /// Where long work reports to.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        self.progress.as_ref()
    }

    /// The same, to be kept.
    #[must_use]
    pub fn shared_progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.progress)
    }

    /// Whether results go out as JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// Prints a result: `value` as JSON if that was asked for, else `text`.
    ///
    /// # Errors
    /// What writing to stdout answers; a closed pipe is none, since whoever reads has enough.
    pub fn result<T: serde::Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let writing = || "writing to standard output".to_owned();
        let rendered = match self.json {
            true => serde_json::to_string_pretty(value).doing_as(ErrorClass::Internal, writing)?,
            false => text(),
        };
        let mut out = io::stdout().lock();
        let written = out.write_all(rendered.as_bytes()).and_then(|()| {
            if rendered.is_empty() || rendered.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") }
        });
        match written.and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.doing(writing),
        }
    }
}
