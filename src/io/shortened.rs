//! Texts that others wrote, at any length, cut to what is kept or shown of them.

/// `text`, or its first `most` bytes and a sign that there is more.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
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
