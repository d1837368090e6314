//! Telling the page of a login or of an error from what was asked for.

/// Whether `head` looks like HTML (or XML, as object stores answer).
pub(crate) fn is_web_page(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |tag: &str| head.get(..tag.len()).is_some_and(|h| h.eq_ignore_ascii_case(tag.as_bytes()));
    ["<!doctype", "<html", "<head", "<body", "<!--", "<?xml", "<error"].iter().any(|t| starts(t))
}
