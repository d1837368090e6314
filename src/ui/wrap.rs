//! Text on lines that fit, broken between words.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// Columns of a page on standard output, which is as wide wherever it is read.
const PAGE: usize = 80;
/// The most that later lines are moved to the right below a label, as a share of the width: one in so many columns.
const SHARE: usize = 4;
/// How far they are moved where there is no label, or no place below it.
const STEP: usize = 2;

/// `head` and what stands beside it, on lines that fit a page; each ends with a line end.
#[must_use]
pub fn page_lines(head: &str, text: &str) -> String {
    filled(head, text, head.width(), PAGE) + "\n"
}

/// What is said on stderr, on lines that fit a terminal of `width` columns. Lines of a file, as errors show them, stay
/// whole, as does a word that is longer than a line.
pub(super) fn wrapped(text: &str, width: usize) -> Cow<'_, str> {
    // some terminals begin a new line after the last column
    let width = width.saturating_sub(1);
    let fits = |line: &str| columns(line) <= width || is_of_file(line);
    if text.lines().all(fits) {
        return Cow::Borrowed(text);
    }
    let line = |line: &str| match fits(line) {
        true => line.to_owned(),
        false => {
            let words = line.trim_start_matches(' ');
            let (before, words) = line.split_at(line.len() - words.len());
            filled(before, words, before.len() + below_label(words, width), width)
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n").into()
}

/// `error: no card` goes on below "no", and `because:` likewise.
fn below_label(words: &str, width: usize) -> usize {
    let first = words.split(' ').next().unwrap_or_default();
    let label = columns(first) + 1;
    let is_label = anstream::adapter::strip_str(first).to_string().ends_with(':');
    if is_label && label <= width / SHARE { label } else { STEP }
}

/// `  3 | password = …`, and the mark below that.
fn is_of_file(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    line == "|" || line.starts_with("| ")
}

/// The columns that a text takes, escapes for colours left out.
fn columns(text: &str) -> usize {
    if text.contains('\x1b') { anstream::adapter::strip_str(text).to_string().width() } else { text.width() }
}

/// `head` and `text` on lines of at most `width` columns, all but the first moved to the right by `indent`.
fn filled(head: &str, text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut line = head.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && columns(&line) + columns(word) > width {
            lines += line.trim_end();
            lines.push('\n');
            // a long word is moved as far as it fits
            line = " ".repeat(indent.min(width.saturating_sub(columns(word))));
            is_empty = true;
        }
        is_empty &= word.is_empty();
        line += word;
        line.push(' ');
    }
    lines + line.trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_go_on_below_their_labels() {
        let text = "error: opening /dev/sdb: it is in use\n  because: a file system on it is mounted at /mnt";
        assert_eq!(
            wrapped(text, 30),
            "error: opening /dev/sdb: it\n       is in use\n  because: a file system on\n    it is mounted at /mnt"
        );
        assert_eq!(
            wrapped(text, 45),
            "error: opening /dev/sdb: it is in use\n  because: a file system on it is mounted at\n           /mnt"
        );
        assert_eq!(wrapped(text, 200), text);
    }

    #[test]
    fn lines_of_files_and_long_words_stay_whole() {
        let text = "error: reading it\n  12 | gateway = \"a long value\"\n     |           ^^^^^^^^^^^^";
        assert_eq!(wrapped(text, 20), text);
        let word = "warning: see https://example.org/a/very/long/address there";
        assert_eq!(wrapped(word, 20), "warning: see\nhttps://example.org/a/very/long/address\n  there");
        assert_eq!(
            wrapped("error: opening ./a-file-of-some-length.img", 32),
            "error: opening\n    ./a-file-of-some-length.img"
        );
    }

    #[test]
    fn colours_take_no_columns() {
        let text = "\x1b[1m\x1b[31merror:\x1b[0m four words fit here";
        assert_eq!(wrapped(text, 28), text);
        assert_eq!(wrapped(text, 24), "\x1b[1m\x1b[31merror:\x1b[0m four words fit\n  here");
    }

    #[test]
    fn a_page_has_its_heads_at_the_left() {
        let text = page_lines("internet  ", &"word ".repeat(20));
        assert!(text.lines().skip(1).all(|line| line.starts_with("          word")), "{text}");
        assert!(text.lines().all(|line| line.width() <= PAGE), "{text}");
    }

    proptest! {
        #[test]
        fn no_word_is_lost_or_broken_and_no_line_is_too_long(text in "([a-z:/]{1,12} ?){0,40}", width in 20usize..90) {
            let lines = wrapped(&text, width);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&lines), words(&text));
            for line in lines.lines() {
                prop_assert!(line.width() < width || words(line).len() == 1, "{:?}", line);
            }
        }
    }
}
