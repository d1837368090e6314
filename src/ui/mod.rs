//! What people and scripts see: progress on stderr, tables and JSON on stdout.

mod bars;
mod duration;
mod lines;
mod log;
mod table;
mod visible;

pub use bars::Bars;
pub use duration::human_duration;
pub use lines::Lines;
pub use log::log;
pub use table::Table;
pub use visible::{visible, visible_line};

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use crate::error::{Doing, Failure};
use crate::progress::{Progress, Silent};

/// Where long work reports to, on stderr: bars where that is a terminal, elsewhere plain lines, nothing where it is
/// to be quiet.
#[must_use]
pub fn progress(quiet: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(Silent)
    } else if io::stderr().is_terminal() {
        Arc::new(Bars::new())
    } else {
        Arc::new(Lines::new())
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
