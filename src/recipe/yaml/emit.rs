//! A tree as text: one entry a line, each scalar as it was written.

use super::{Form, Kind, Node};
use crate::recipe::quote;

/// Block style, two blanks a level, ending with a newline.
pub(in super::super) fn emit(node: &Node) -> String {
    let mut out = String::new();
    block(&mut out, node, 0);
    out
}

fn block(out: &mut String, node: &Node, depth: usize) {
    let indent = "  ".repeat(depth);
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| entry(out, &format!("{indent}-"), item, depth)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                entry(out, &head(&indent, key), value, depth);
            }
        }
        Kind::Scalar { .. } => entry(out, &indent, node, depth),
    }
}

/// The key of an entry up to the value. PyYAML looks for the `:` behind a key no further than 1,024 characters (its
/// scanner.py), unless it is marked as one.
fn head(indent: &str, key: &Node) -> String {
    let written = tag(key) + &key.text().map_or_else(String::new, |text| scalar(text, key));
    match written.chars().count() {
        ..1024 => format!("{indent}{written}:"),
        _ => format!("{indent}? {written}\n{indent}:"),
    }
}

fn entry(out: &mut String, head: &str, node: &Node, depth: usize) {
    out.push_str(head);
    let tag = tag(node);
    let tag = tag.trim_end();
    for word in [tag].into_iter().filter(|tag| !tag.is_empty()) {
        out.push(' ');
        out.push_str(word);
    }
    let empty = match &node.kind {
        Kind::List(items) => items.is_empty().then_some("[]"),
        Kind::Map(entries) => entries.is_empty().then_some("{}"),
        Kind::Scalar { text, form } => {
            out.push(' ');
            match form {
                // What needs an escape was written with escapes, and Jinja saw them there, too.
                Form::Long if has_jinja(text) && quote::yaml_needs_no_escape(text) => {
                    literal(out, text, depth + 1);
                }
                _ => out.push_str(&scalar(text, node)),
            }
            Some("")
        }
    };
    match empty {
        Some("") => out.push('\n'),
        Some(brackets) => {
            out.push(' ');
            out.push_str(brackets);
            out.push('\n');
        }
        None => {
            out.push('\n');
            block(out, node, depth + 1);
        }
    }
}

fn tag(node: &Node) -> String {
    node.tag.as_ref().map_or_else(String::new, |tag| format!("{tag} "))
}

fn scalar(text: &str, node: &Node) -> String {
    let Kind::Scalar { form, .. } = &node.kind else { return String::new() };
    match form {
        Form::Plain if text.is_empty() && node.tag.is_none() => "null".to_owned(),
        Form::Plain if text.is_empty() || !stands_for_itself(text) => quote::yaml(text),
        Form::Plain => text.to_owned(),
        Form::Quoted(line) => line.clone(),
        Form::Long => quote::yaml(text),
        Form::Shielded => quote::yaml(text).replace('{', "\\x7B"),
    }
}

/// Whether cloud-init reads `text` where it stands without quotes. What it does not read is text to every reader: lines that
/// break, tabs, and at the beginning of a line the borders of a document.
fn stands_for_itself(text: &str) -> bool {
    let is_border = ["---", "..."].iter().any(|border| text.starts_with(border));
    !is_border && !text.contains(['\n', '\t'])
}

/// Whether Jinja would find something to do in `text`.
pub(in super::super) fn has_jinja(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// As a literal block, which has no escapes: what Jinja is to find is as it was.
fn literal(out: &mut String, text: &str, depth: usize) {
    let kept = text.trim_end_matches('\n');
    let keep = match text.len() - kept.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    // Where the first line is indented the number says by how much all are; elsewhere it is left to
    // the reader, as what Jinja puts there may be.
    out.push_str(if text.starts_with([' ', '\n']) { "|2" } else { "|" });
    out.push_str(keep);
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&"  ".repeat(depth));
            out.push_str(line);
        }
    }
}
