//! What people and scripts see: progress on stderr, tables and JSON on stdout.

mod bars;
mod duration;
pub(crate) mod events;
mod label;
mod lines;
mod log;
mod meter;
mod row;
mod say;
mod table;
mod visible;
mod wrap;

pub use bars::Bars;
pub use duration::human_duration;
pub use lines::Lines;
pub use log::log;
pub use say::complain_in_colours;
pub use table::Table;
pub use visible::{visible, visible_json, visible_line, visible_there};
pub use wrap::page_lines;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use crate::error::{Doing, Failure};
use crate::progress::{Progress, Silent, Step};
use say::complain;

/// How long work is shown on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Bars where that is a terminal that can draw them, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// A JSON object a line, in this version of the form.
    Json(u32),
    /// Not at all, but for warnings and waits.
    Off,
}

/// Where long work reports to.
#[must_use]
pub fn progress(shown: Shown) -> Arc<dyn Progress> {
    // a terminal that cannot move its cursor
    let is_dumb = || std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    match shown {
        Shown::Auto if io::stderr().is_terminal() && !is_dumb() => Arc::new(Bars::new()),
        Shown::Auto | Shown::Plain => Arc::new(Lines::new()),
        Shown::Json(version) => Arc::new(events::Events::new(version)),
        Shown::Off => Arc::new(WarningsOnly),
    }
}

/// A [`Progress`] of which warnings are told, and what keeps it waiting, and nothing else.
struct WarningsOnly;

impl Progress for WarningsOnly {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Step> {
        Box::new(Silent)
    }
    fn note(&self, _text: &str) {}
    fn wait(&self, text: &str) {
        complain(text);
    }
    fn warn(&self, text: &str) {
        complain(text);
    }
    fn fail(&self, text: &str) {
        complain(text);
    }
}

/// Prints a result, with an end of line where it has none.
///
/// # Errors
/// What writing to stdout answers; a closed pipe is none, since whoever reads has enough.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| if text.is_empty() || text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    match written.and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.doing(|| "writing to standard output".to_owned()),
    }
}
