//! The line of a description that is at fault, with a mark below what is meant, and no secret in it.

use unicode_width::UnicodeWidthStr;

use crate::io::nearest;

/// All keys that descriptions have stand in it.
const TEMPLATE: &str = include_str!("init.toml");
/// What is shown of a line, in characters.
const LONGEST: usize = 100;
/// Keys that look like those of secrets and are none.
const HARMLESS: [&str; 2] = ["token-ttl", "ssh-password"];
/// What keys of secrets have in them, also when they are written in other ways.
const SECRET: [&str; 9] = ["pass", "psk", "secret", "token", "hash", "pwd", "pw", "cred", "kenn"];

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The value of a key that the description knows.
    Value,
    /// A key that it does not know.
    Key,
    /// The line, which is no TOML.
    Line,
}

/// The line, numbered, and the mark below it; `None` where nothing can be shown. `line` and `column` count from 1,
/// `column` in characters.
pub(super) fn excerpt(text: &str, line: usize, column: usize, about: About) -> Option<String> {
    let whole = text.lines().nth(line.checked_sub(1)?)?;
    let at = whole.char_indices().nth(column.checked_sub(1)?).map_or(whole.len(), |(at, _)| at);
    let (shown, from, to) = match about {
        About::Key => key_alone(whole, at),
        About::Value => value(whole, at),
        About::Line => broken(whole, at)?,
    };
    let shown = shown.replace('\t', " ");
    let cut: String = shown.chars().take(LONGEST).collect();
    let gap = if cut.len() < shown.len() { "…" } else { "" };
    let before = shown.get(..from).map_or(0, UnicodeWidthStr::width);
    let marked = shown.get(from..to.max(from)).map_or(1, UnicodeWidthStr::width);
    if before >= LONGEST {
        return None;
    }
    let mark = "^".repeat(marked.clamp(1, LONGEST - before));
    let margin = " ".repeat(line.to_string().len());
    Some(format!("  {line} | {cut}{gap}\n  {margin} | {}{mark}", " ".repeat(before)))
}

/// A key that nobody knows may be that of a secret, whatever it is called.
fn key_alone(line: &str, at: usize) -> (String, usize, usize) {
    let rest = line.get(at..).unwrap_or_default();
    let key = rest.split(['=', ']', ',', '}']).next().unwrap_or_default().trim_end();
    let follows = if line.trim_start().starts_with('[') { "" } else { " = …" };
    let head = if line.trim_start().starts_with('[') { "[" } else { "" };
    let close = if head.is_empty() { "" } else { "]" };
    let key = key.trim_start_matches('[');
    (format!("{head}{key}{close}{follows}"), head.len(), head.len() + key.len())
}

/// The heading of a table, or of one of a list of tables, that a line begins with.
fn heading(line: &str) -> &str {
    let close = if line.trim_start().starts_with("[[") { "]]" } else { "]" };
    let end = line.find(close).map(|at| at + close.len()).or(line.find(']').map(|at| at + 1));
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

/// The value with its key, and nothing else of the line.
fn value(line: &str, at: usize) -> (String, usize, usize) {
    let (before, rest) = line.split_at_checked(at).unwrap_or((line, ""));
    let is_of_key = |c: char| c.is_alphanumeric() || "_.-\"' \t=".contains(c);
    let start = before.rfind(|c| !is_of_key(c)).map_or(0, |last| last + 1);
    let before = before.get(start..).unwrap_or_default().trim_start();
    let is_header = line.trim_start().starts_with('[') && before.is_empty();
    let value = match rest.chars().next() {
        Some('[') if is_header => heading(rest).to_owned(),
        Some('{') => "{ … }".to_owned(),
        Some('[') => "[ … ]".to_owned(),
        Some(quote @ ('"' | '\'')) => match rest.get(1..).and_then(|inner| inner.find(quote)) {
            Some(end) => rest.get(..end + 2).unwrap_or_default().to_owned(),
            None => "…".to_owned(),
        },
        _ => rest.split([',', '}', ']', '#']).next().unwrap_or_default().trim_end().to_owned(),
    };
    let key = before.split('=').next().unwrap_or_default();
    // a password in an address, a private key where a public one is wanted
    let holds_secret = value.contains('@') || value.contains("PRIVATE");
    let value = if is_secret(key) || holds_secret { "…".to_owned() } else { value };
    // in a list there is no key, and whose list it is stands elsewhere
    let shown = format!("{before}{value}");
    (shown, before.len(), before.len() + value.len())
}

/// A line that is no TOML, where its key is one that descriptions have, and not that of a secret.
fn broken(line: &str, at: usize) -> Option<(String, usize, usize)> {
    let indent = line.len() - line.trim_start().len();
    let line = line.trim();
    let at = at.saturating_sub(indent).min(line.len());
    if line.starts_with('[') {
        let header = heading(line);
        let is_header = header.bytes().all(|b| b.is_ascii_alphanumeric() || b"[].-_ ".contains(&b));
        return is_header.then(|| (header.to_owned(), at.min(header.len()), at + 1));
    }
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_known = TEMPLATE.lines().any(|known| {
        let known = known.trim_start_matches(['#', ' ']);
        known.split_once('=').is_some_and(|(name, _)| name.trim() == key)
    });
    let hides =
        !is_known || SECRET.iter().any(|word| line.to_lowercase().contains(word)) || line.contains('@');
    if hides {
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let shown = format!("{key} = …");
        return plain.then(|| (shown, key.len() + 3, key.len() + 4));
    }
    Some((line.to_owned(), at, at + 1))
}

/// Whether a key is that of a secret, or a slip of one.
fn is_secret(key: &str) -> bool {
    let key = key.trim().trim_matches(['"', '\'']).to_lowercase().replace('_', "-");
    let last = key.rsplit('.').next().unwrap_or_default();
    !HARMLESS.contains(&last)
        && (SECRET.iter().any(|word| last.contains(word)) || nearest(last, ["password", "psk"]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, about: About) -> String {
        // «…» is where the problem begins
        let at = text.find('«').unwrap();
        let (line, column) =
            (text[..at].lines().count().max(1), text[..at].rsplit('\n').next().unwrap().chars().count());
        let line = if text[..at].ends_with('\n') { line + 1 } else { line };
        excerpt(&text.replace('«', ""), line, column + 1, about).unwrap_or_default()
    }

    #[test]
    fn the_fault_is_marked() {
        let texts = [
            (About::Value, "nodes = 4\n[network]\nsubnet = «\"10.0.0/33\"   # home\n"),
            (About::Value, "nodes = [{ name = \"a\", role = «\"master\" }, { name = \"b\" }]\n"),
            (About::Value, "[network]\ndns = [\"8.8.8.8\", «\"漢\"]\n"),
            (About::Value, "«[network.wifi]\npassword = \"x\"\n"),
            (About::Value, "wifi = «{ ssid = \"a\", password = \"never shown\" }\n"),
            (About::Key, "\t«nmae = \"x\"\n"),
            (About::Key, "[«kubernets]\n"),
            (About::Line, "nodes = «\n"),
            (About::Line, "[network«\n"),
            (About::Line, "mode = «gateway\n"),
        ];
        let all: Vec<_> = texts.iter().map(|(about, text)| shown(text, *about)).collect();
        insta::assert_snapshot!(all.join("\n\n"));
    }

    #[test]
    fn no_secret_is_shown_whatever_its_key_is_called() {
        const SECRET: &str = "hunter2";
        for key in
            ["password", "Password", "passwort", "pasword", "psk", "wifi_pw", "password-hash", "kennwort"]
        {
            for value in
                [SECRET, "\"hunter2", "\"hunter2\"", "'hunter2'", "\"a hunter2! b", "{ x = \"hunter2\" }"]
            {
                for (about, mark) in [(About::Value, 1), (About::Key, 0), (About::Line, 1), (About::Line, 2)]
                {
                    let line = match mark {
                        0 => format!("«{key} = {value}\n"),
                        1 => format!("{key} = «{value}\n"),
                        _ => format!("{key} = {value}«\n"),
                    };
                    let said = shown(&line, about);
                    assert!(!said.contains("unter2"), "{line}{said}");
                }
            }
        }
        for (about, line) in [
            (About::Value, "http = «\"http://me:hunter2@proxy\"\n"),
            (About::Line, "http = «http://me:hunter2@proxy\n"),
            (About::Value, "ssh-keys = [«\"-----BEGIN PRIVATE KEY-----\\nhunter2\"]\n"),
            (About::Line, "«hunter2\n"),
            (About::Line, "key = «hunter2\n"),
            (About::Key, "«key = \"hunter2\"\n"),
            (About::Line, "wifi = { ssid = \"a\" «password = \"hunter2\" }\n"),
            (About::Value, "wifi = { password = \"hunter2\", country = «\"X\" }\n"),
            (About::Value, "wifi = { country = «\"X\", password = \"hunter2\" }\n"),
            (About::Line, "ssid = \"home«\npassword = \"hunter2\"\n"),
        ] {
            let said = shown(line, about);
            assert!(!said.contains("unter2"), "{line}{said}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_place_is_shown_or_not_without_a_panic(
            text in "[a-z =\"'\\[\\]{},#ü漢\t\n]{0,80}",
            line in 0_usize..8,
            column in 0_usize..90,
        ) {
            for about in [About::Value, About::Key, About::Line] {
                let _ = excerpt(&text, line, column, about);
            }
        }
    }
}
