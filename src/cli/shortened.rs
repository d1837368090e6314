//! What a node or a card says, cut to what people read: others may have written it, at any length, and a table is
//! as wide as the longest of its words.

/// Longest word of a state, in bytes; the longest that a node writes is a time, with 20.
pub(super) const WORD_MAX: usize = 64;
/// Longest name, in bytes; a domain name has 253 at most.
pub(super) const NAME_MAX: usize = 256;
/// Longest sentence, in bytes; those of a node's programs have some 300.
pub(super) const SENTENCE_MAX: usize = 1000;

/// `text`, or its first `most` bytes and a sign that there is more.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so_and_stays_a_text() {
        for (text, short) in
            [("", ""), ("abcd", "abcd"), ("abcde", "abcd…"), ("abcü", "abc…"), ("üüü", "üü…")]
        {
            assert_eq!(shortened(text, 4), short);
        }
    }
}
