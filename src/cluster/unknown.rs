//! What somebody meant who wrote what a description does not have: another key, another word, another language.

use std::collections::BTreeMap;

use crate::io::nearest;

/// What others call what a description has: Kubernetes of old and its distributions, access points, routers.
const ELSEWHERE: [(&str, &str); 12] = [
    ("master", "control-plane"),
    ("server", "control-plane"),
    ("controller", "control-plane"),
    ("slave", "worker"),
    ("agent", "worker"),
    ("minion", "worker"),
    ("node", "worker"),
    ("bridge", "lan"),
    ("router", "gateway"),
    ("nat", "gateway"),
    ("wpa", "wpa2"),
    ("none", "open"),
];

/// The message for a word that is none of `words`.
pub(super) fn word<'w>(given: &str, words: impl Iterator<Item = &'w str> + Clone) -> String {
    let lower = given.to_lowercase();
    let other = ELSEWHERE.iter().find(|(name, _)| *name == lower).map(|(_, meant)| *meant);
    let other = other.filter(|meant| words.clone().any(|word| word == *meant));
    word_for(given, words, other)
}

/// The same where it may be known already which of them is `meant`.
pub(super) fn word_for<'w>(
    given: &str,
    words: impl Iterator<Item = &'w str> + Clone,
    meant: Option<&'w str>,
) -> String {
    let message = must_be(words.clone());
    match meant.or_else(|| nearest(given, words)) {
        Some(meant) => format!("{message}; did you mean {meant:?}?"),
        None => message,
    }
}

/// That a word must be one of `words`.
pub(super) fn must_be<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut quoted: Vec<_> = words.map(|word| format!("{word:?}")).collect();
    let last = quoted.pop().unwrap_or_default();
    format!("must be {} or {last}", quoted.join(", "))
}

/// The message for a key that its table does not know. `known` has the keys of each table, `before` is the text
/// above the key.
pub(super) fn message(
    known: &BTreeMap<String, Vec<&'static str>>,
    table: &str,
    key: &str,
    before: &str,
) -> String {
    let here = known.get(table).map_or(&[][..], Vec::as_slice);
    let wanted = key.replace('_', "-").to_lowercase();
    let knows = |table: &str| known.get(table).is_some_and(|keys| keys.contains(&wanted.as_str()));
    // Who takes the "#" from a setting and not from the header above it means the table of that header.
    if let Some(header) = commented_header(before).filter(|header| knows(header)) {
        return format!(
            "unknown key {key:?} here: the header of its table, [{header}], is commented out above; take the \"#\" \
             from that line, too"
        );
    }
    if let Some(name) = nearest(&wanted, here.iter().copied()) {
        return format!("unknown key {key:?}; did you mean {name:?}?");
    }
    let tables: Vec<&str> = known.keys().map(String::as_str).filter(|table| knows(table)).collect();
    let is_within = |other: &&str| other.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    let within: Vec<&str> = tables.iter().copied().filter(is_within).collect();
    let mut places: Vec<String> =
        if within.is_empty() { tables } else { within }.into_iter().map(place).collect();
    places.dedup();
    match places.as_slice() {
        [] if here.is_empty() => format!("unknown key {key:?}"),
        [] => format!("unknown key {key:?}; known here: {}", here.join(", ")),
        places => format!("unknown key {key:?} here; {wanted:?} belongs {}", places.join(", or ")),
    }
}

fn place(table: &str) -> String {
    match table {
        "" => "at the top of the file, above all tables".to_owned(),
        table if table.starts_with("nodes[") => "in an entry of nodes".to_owned(),
        table => format!("under [{table}]"),
    }
}

/// The name of the table whose header is the last one above, where that one is a comment.
fn commented_header(before: &str) -> Option<&str> {
    let mut headers = before.lines().rev().map(str::trim).filter_map(|line| {
        let inner = line.trim_start_matches(['#', ' ', '\t']).strip_prefix('[')?;
        let (name, rest) = inner.split_once(']')?;
        let is_header = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        let ends = rest.trim_start();
        (is_header && (ends.is_empty() || ends.starts_with('#'))).then_some((line.starts_with('#'), name))
    });
    headers.next().filter(|(is_comment, _)| *is_comment).map(|(_, name)| name)
}

/// What to say where a text that is not TOML is another language that descriptions are written in.
pub(super) fn other_language(text: &str, at: usize) -> Option<&'static str> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next().unwrap_or_default().trim();
    if first.starts_with('{') {
        return Some(
            "this looks like JSON, and a description is TOML: write name = \"home\", and [network] above the \
             settings of the network; pibake init writes one with every setting",
        );
    }
    if first == "---" || is_yaml(line) {
        return Some(
            "this looks like YAML, and a description is TOML: write name = \"home\" instead of name: home, and \
             [network] instead of network:; pibake init writes one with every setting",
        );
    }
    None
}

/// `key: value`, `key:` or `- item`.
fn is_yaml(line: &str) -> bool {
    let entry = line.strip_prefix("- ").unwrap_or(line);
    let pair = entry.split_once(':').is_some_and(|(key, rest)| {
        let is_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !key.is_empty() && key.bytes().all(is_key) && (rest.is_empty() || rest.starts_with([' ', '\t']))
    });
    pair || entry.len() < line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_programs_are_translated_where_they_can_be() {
        let roles = ["control-plane", "worker"];
        for (given, meant) in [
            ("master", Some("control-plane")),
            ("Server", Some("control-plane")),
            ("agent", Some("worker")),
            ("wroker", Some("worker")),
            ("control_plane", Some("control-plane")),
            ("nat", None),
            ("etcd", None),
        ] {
            let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
            let expected = format!("must be \"control-plane\" or \"worker\"{hint}");
            assert_eq!(word(given, roles.into_iter()), expected);
        }
    }

    #[test]
    fn headers_in_comments_are_told_from_other_comments() {
        for (text, header) in [
            ("[network]\n# [network.wifi]\n", Some("network.wifi")),
            ("#[network.wifi]   # the radio\n", Some("network.wifi")),
            ("# [network.wifi]\n[network.uplink]\n", None),
            ("# see [network.wifi], which says more\n", None),
            ("#dns = [\"8.8.8.8\"]\n", None),
            ("# [a]\n#   { name = \"x\" }\n# ]\n", Some("a")),
            ("", None),
        ] {
            assert_eq!(commented_header(text), header, "{text}");
        }
    }

    #[test]
    fn other_languages_are_known_by_the_line_that_is_no_toml() {
        let of = |text: &str, at: &str| other_language(text, text.find(at).unwrap());
        for yaml in ["nodes: 4\n", "---\nnodes: 4\n", "# x\nnetwork:\n  mode: lan\n", "nodes:\n- name: a\n"] {
            assert!(of(yaml, "n").is_some_and(|said| said.contains("YAML")), "{yaml}");
        }
        assert!(of("{\"nodes\": 4}", "{").is_some_and(|said| said.contains("JSON")));
        for toml in ["nodes = \n", "[network\n", "name = home\n", "when = 12:30\n", "url = http://x: 1\n"] {
            assert_eq!(other_language(toml, toml.len() - 1), None, "{toml}");
        }
    }
}
