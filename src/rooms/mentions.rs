//! What a source file says of others: the paths that are written in it.

use std::collections::BTreeSet;

/// A path that is written in a file, such as `super::plan::Plan`: one for each name in a list.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) path: Vec<String>,
    /// What the file calls it.
    pub(super) name: String,
    /// It stands in a `use`, and not one that hands it on.
    pub(super) is_use: bool,
    pub(super) is_handed_on: bool,
}

/// What one file says.
#[derive(Default)]
pub(super) struct Text {
    pub(super) mentions: Vec<Mention>,
    /// All words but those in `use`, and the names of modules where they are declared.
    pub(super) words: BTreeSet<String>,
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// The words and signs of some source, without its comments and texts.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let behind =
            |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (len, is_code) = match rest {
            _ if rest.starts_with("//") => (behind(2, "\n"), false),
            _ if rest.starts_with("'\"'") => (3, false),
            _ if rest.starts_with("r#\"") => (behind(3, "\"#"), false),
            _ if first == '"' => {
                let mut end = 1;
                while !rest[end..].starts_with('"') && end < rest.len() {
                    end += rest[end..]
                        .chars()
                        .take(1 + usize::from(rest[end..].starts_with('\\')))
                        .map(char::len_utf8)
                        .sum::<usize>();
                }
                (end + 1, false)
            }
            _ if rest.starts_with("::") => (2, true),
            _ => (word.max(first.len_utf8()), !first.is_whitespace()),
        };
        if is_code {
            found.push(rest[..len].to_owned());
        }
        rest = &rest[len..];
    }
    found
}

/// Reads the path at `tokens[at]` and all that its lists hold, each with what it is called. Returns
/// where it ends.
fn read_path(
    tokens: &[String],
    mut at: usize,
    above: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut path = above.to_vec();
    loop {
        if token(at) == "{" {
            at += 1;
            while !["}", ""].contains(&token(at)) {
                at = read_path(tokens, at, &path, found).max(at + 1);
            }
            return at + 1;
        }
        if !is_word(token(at)) {
            // a comma, a glob, or the angle of a type's parameters
            return at;
        }
        // `self` in a list is the module before the list
        if token(at) != "self" || path.is_empty() {
            path.push(token(at).to_owned());
        }
        at += 1;
        if token(at) == "::" && (is_word(token(at + 1)) || token(at + 1) == "{") {
            at += 1;
            continue;
        }
        let renamed = token(at) == "as";
        let name = if renamed { token(at + 1) } else { path.last().map_or("", String::as_str) };
        found.push((path.clone(), name.to_owned()));
        return if renamed { at + 2 } else { at };
    }
}

pub(super) fn parse(text: &str) -> Text {
    let tokens = tokens(text);
    let mut parsed = Text::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).map_or("", |at| &tokens[at]);
        let is_use = token == "use";
        if is_use || is_word(token) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            let is_handed_on = is_use && ["pub", ")"].contains(&before);
            let mut paths = Vec::new();
            let end = read_path(&tokens, at + usize::from(is_use), &[], &mut paths);
            if !is_use {
                parsed.words.insert(token.clone());
            }
            let mentions = paths.into_iter().map(|(path, name)| Mention { path, name, is_use, is_handed_on });
            parsed.mentions.extend(mentions);
            at = end.max(at + 1);
        } else {
            if before != "mod" {
                parsed.words.insert(token.clone());
            }
            at += 1;
        }
    }
    parsed
}
