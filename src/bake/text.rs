//! Text files that stay as they are but for single lines, whatever bytes they have.

/// What `edit` makes of each line; nothing where all stay as they are.
pub(super) fn edit_lines(text: &[u8], edit: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut is_changed = false;
    let edited = text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let (body, end) = match line.strip_suffix(b"\n") {
            Some(body) => (body, &b"\n"[..]),
            None => (line, &b""[..]),
        };
        let edited = edit(body);
        is_changed |= edited.is_some();
        [edited.as_deref().unwrap_or(body), end].concat()
    });
    let edited: Vec<u8> = edited.flatten().collect();
    is_changed.then_some(edited)
}
