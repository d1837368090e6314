//! Text that is wrapped at the edge of a page.

use unicode_width::UnicodeWidthStr;

/// Columns of a page.
const PAGE: usize = 80;

/// `head` and what stands beside it, on lines that fit a page.
pub(super) fn wrapped(head: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut line = head.to_owned();
    for word in text.split(' ') {
        if line.width() + word.width() > PAGE && line.trim_end().len() > head.trim_end().len() {
            lines += line.trim_end();
            lines.push('\n');
            line = " ".repeat(head.len());
        }
        line += word;
        line.push(' ');
    }
    lines + line.trim_end() + "\n"
}
