//! What is said on stderr in whole sentences: labels in colour, and on a terminal on lines that fit it.

use std::io::{self, Write};

use super::{label, visible::visible, wrap};

/// Says `text`.
pub(super) fn complain(text: &str) {
    // Whoever closed stderr does not want to hear.
    let _ = writeln!(io::stderr(), "{}", message(text));
}

/// `text` as it is said: its label in colour, and on a terminal on lines that fit it. What a terminal would obey in it is
/// shown: names and texts off cards, from servers and out of files are in it.
pub(super) fn message(text: &str) -> String {
    fitted(label::labelled(&visible(text)))
}

/// `text`, which may have colours, on lines that fit where stderr is a terminal.
fn fitted(text: String) -> String {
    match columns() {
        Some(width) => wrap::wrapped(&text, width).into_owned(),
        None => text,
    }
}

/// The columns of the terminal that stderr is, as it is now; its window may be drawn larger at any time. `None` where it
/// is none.
pub(super) fn columns() -> Option<usize> {
    // the width of one that does not tell it
    const WIDTH: usize = 80;
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0).or(Some(WIDTH))
}

/// Says `text`, which has its colours already, as all else is said.
pub fn complain_in_colours(text: String) {
    let text = fitted(text);
    // Nobody may be reading.
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}
