//! The first word of what is said on stderr, in the colours that clap's own errors have.

use std::io::stderr;
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// The words that begin a line, and their colours.
const LABELS: [(&str, AnsiColor); 2] = [("error:", AnsiColor::Red), ("warning:", AnsiColor::Yellow)];

/// `text`, its label in colour where stderr is for that: a terminal that knows colours, unless `NO_COLOR` is set, or
/// anything at all with `CLICOLOR_FORCE` (no-color.org, bixense.com/clicolors).
pub(super) fn labelled(text: &str) -> String {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    let colours = || !matches!(AutoStream::choice(&stderr()), ColorChoice::Never);
    if *COLOURS.get_or_init(colours) { painted(text) } else { text.to_owned() }
}

fn painted(text: &str) -> String {
    for (label, colour) in LABELS {
        if let Some(rest) = text.strip_prefix(label) {
            let style = Style::new().bold().fg_color(Some(colour.into()));
            return format!("{style}{label}{style:#}{rest}");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_alone_are_painted() {
        assert_eq!(painted("error: no card"), "\x1b[1m\x1b[31merror:\x1b[0m no card");
        assert_eq!(painted("warning: slow"), "\x1b[1m\x1b[33mwarning:\x1b[0m slow");
        assert_eq!(painted("an error: none"), "an error: none");
    }
}
