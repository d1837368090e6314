//! Text that others wrote, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::IsTerminal;

/// `text` with every character shown that a terminal would obey instead of showing: controls, among
/// them the escapes that move the cursor, set titles or write the clipboard, and those that turn the
/// direction of writing or take no room, with which one name looks like another. Line ends and tabs
/// stay.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    shown(text, |c| c == '\n' || c == '\t')
}

/// `text` for standard output: as it is, but to a terminal as [`visible`] shows it.
#[must_use]
pub fn visible_there(text: &str) -> Cow<'_, str> {
    if std::io::stdout().is_terminal() { visible(text) } else { Cow::Borrowed(text) }
}

/// As [`visible`], for what is to stay on one line.
#[must_use]
pub fn visible_line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// A text in JSON with every character escaped in it that [`visible_line`] shows: it means the same, and a terminal that
/// it is printed to obeys nothing of it. JSON itself asks for that below U+0020 alone (RFC 8259, 7).
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // Between the values there may be line ends; within them they are escaped already.
    let hides = |c: char| is_hidden(c) && c != '\n';
    if !json.contains(hides) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]).iter() {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn shown(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hides = |c: char| is_hidden(c) && !stays(c);
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let _ = match c {
            // the end of a line as DOS writes it, where line ends stay
            '\r' if stays('\n') && rest.peek() == Some(&'\n') => Ok(()),
            '\n' if hides(c) => out.write_str("\\n"),
            '\t' if hides(c) => out.write_str("\\t"),
            '\r' => out.write_str("\\r"),
            c if hides(c) && (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32),
            c if hides(c) => write!(out, "\\u{{{:x}}}", c as u32),
            c => out.write_char(c),
        };
    }
    Cow::Owned(out)
}

/// Controls (C0, DEL, C1), and of Unicode what sets the direction of text (UAX #9), ends lines, or
/// takes no room; also what is no character at all.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (given, one_line) in [
            ("plain text, ü, 漢字, 👩\u{200d}🔧", "plain text, ü, 漢字, 👩\u{200d}🔧"),
            ("\u{1b}]0;owned\u{7}\u{1b}[2J", r"\x1b]0;owned\x07\x1b[2J"),
            ("\u{9b}2J\u{7f}", r"\x9b2J\x7f"),
            ("gpj.\u{202e}exe\u{2066}", r"gpj.\u{202e}exe\u{2066}"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("over\rwritten", r"over\rwritten"),
            ("a\nb\tc", r"a\nb\tc"),
        ] {
            assert_eq!(visible_line(given), one_line);
        }
        assert_eq!(visible("a\r\nb\tc\r"), "a\nb\tc\\r");
        assert!(matches!(visible("plain"), Cow::Borrowed(_)));
        assert_eq!(visible_json("[\n\"\u{9b}\u{e0041}\u{fc}\"]"), "[\n\"\\u009b\\udb40\\udc41\u{fc}\"]");
        assert!(matches!(visible_json("[\n]"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_is_left(text in any::<String>()) {
            prop_assert!(!visible_line(&text).chars().any(is_hidden));
            prop_assert!(!visible(&text).chars().any(|c| is_hidden(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn json_means_the_same(text in any::<String>()) {
            let value = serde_json::json!({ "n": [text.clone(), "\u{9b}2J\u{202e}\u{e0041}\u{7f}"], (text): 1 });
            for plain in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
                let escaped = visible_json(&plain);
                prop_assert!(!escaped.chars().any(|c| is_hidden(c) && c != '\n'));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), &value);
            }
        }
    }
}
