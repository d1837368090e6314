//! Lists of digests as `sha256sum` writes them.

use crate::base::Digest;
use crate::catalog::Release;
use crate::error::{Classified, ErrorClass};
use crate::http::is_web_page;

/// A SHA256SUMS file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums(Vec<(String, Digest)>);

/// A text that is no list of digests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSums {
    /// A web page.
    #[error("it is a web page, not a list of digests")]
    WebPage,
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A line that is neither empty nor `<64 hex digits> *<name>`.
    #[error("line {line} is not of the form `<SHA-256> *<file name>`")]
    Line {
        /// The line, counted from 1.
        line: usize,
    },
    /// Two lines for one name that disagree.
    #[error("line {line} gives {name:?} a second, different digest")]
    Contradiction {
        /// The line, counted from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// Not a single line.
    #[error("it is empty")]
    Empty,
}

impl Classified for InvalidSums {
    fn class(&self) -> ErrorClass {
        match self {
            Self::WebPage | Self::Empty | Self::NotText | Self::Line { .. } | Self::Contradiction { .. } => {
                ErrorClass::Verification
            }
        }
    }
}

impl Sums {
    /// Reads lines of the form `<64 hex digits> *<name>` (binary) or with two spaces (text).
    ///
    /// The whole list has to be right: it is signed as a whole, so a line that cannot be read means
    /// that the file is something else.
    ///
    /// # Errors
    /// [`InvalidSums`], with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSums> {
        if is_web_page(bytes) {
            return Err(InvalidSums::WebPage);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidSums::NotText)?;
        let mut list: Vec<(String, Digest)> = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, l)| !l.is_empty()) {
            let (digest, name) = parse_line(line).ok_or(InvalidSums::Line { line: index + 1 })?;
            match list.iter().find(|(known, _)| *known == name) {
                Some((_, known)) if *known != digest => {
                    return Err(InvalidSums::Contradiction { line: index + 1, name });
                }
                Some(_) => {}
                None => list.push((name, digest)),
            }
        }
        if list.is_empty() { Err(InvalidSums::Empty) } else { Ok(Self(list)) }
    }

    /// The digest of the file called `name`, with or without `./` before it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Digest> {
        self.0.iter().find(|(known, _)| known.strip_prefix("./").unwrap_or(known) == name).map(|(_, d)| *d)
    }

    /// The releases of a series whose images for Pis are listed, with their digests.
    pub(crate) fn releases(&self, series: Release) -> impl Iterator<Item = (Release, Digest)> {
        self.0.iter().filter_map(move |(name, digest)| {
            let release = Release::of_file(name.strip_prefix("./").unwrap_or(name))?;
            (release.series() == series).then_some((release, *digest))
        })
    }

    /// The names of some images that are listed, for people.
    pub(crate) fn images(&self) -> Vec<String> {
        const MOST: usize = 5;
        let images = self.0.iter().map(|(name, _)| name).filter(|name| name.contains(".img"));
        images.take(MOST).cloned().collect()
    }
}

fn parse_line(line: &str) -> Option<(Digest, String)> {
    let (digits, rest) = line.split_at_checked(64)?;
    let name = rest.strip_prefix(" *").or_else(|| rest.strip_prefix("  "))?;
    // sha256sum marks names with line breaks or backslashes in them by a leading backslash; no image has one
    let fits = !name.is_empty() && !name.contains(|c: char| c.is_control());
    if !fits {
        return None;
    }
    Some((digits.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "44b98acd3fd4379c6b194696520b6aecb2f596b601e43e9b6934c83f0aa61026";
    const B: &str = "fd7687c5c9422a6c7ba4717c227bf6473fe4e0c954d5a9f664201dcecc63e822";

    #[test]
    fn both_ways_of_writing_are_read() {
        let sums = Sums::parse(format!("{A} *a.img.xz\n\n{B}  ./b c.img.xz\r\n{A} *a.img.xz\n").as_bytes());
        let sums = sums.unwrap();
        assert_eq!(sums.0.len(), 2);
        assert_eq!(sums.get("a.img.xz"), Some(A.parse().unwrap()));
        assert_eq!(sums.get("b c.img.xz"), Some(B.parse().unwrap()));
        assert_eq!(sums.get("a.img"), None);
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        for (bad, fault) in [
            (String::new(), InvalidSums::Empty),
            ("\n\n".to_owned(), InvalidSums::Empty),
            (" <!DOCTYPE html><html>".to_owned(), InvalidSums::WebPage),
            (format!("{A} *a\n{A} a\n"), InvalidSums::Line { line: 2 }),
            (format!("{A} *a\n\n{} *a\n", &A[1..]), InvalidSums::Line { line: 3 }),
            (format!("{A} *\n"), InvalidSums::Line { line: 1 }),
            (format!("{A} *a\u{1b}[2J\n"), InvalidSums::Line { line: 1 }),
            (format!("{A} *a\n{B} *a\n"), InvalidSums::Contradiction { line: 2, name: "a".to_owned() }),
        ] {
            assert_eq!(Sums::parse(bad.as_bytes()), Err(fault), "{bad:?}");
        }
        assert_eq!(Sums::parse(b"\xff\xfe"), Err(InvalidSums::NotText));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Sums::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read_back(
            names in proptest::collection::btree_set("[a-zA-Z0-9+._ äö-]{1,30}", 1..20), star in any::<bool>()
        ) {
            let mark = if star { '*' } else { ' ' };
            let text: String =
                names.iter().map(|n| format!("{} {mark}{n}\n", Digest::of(n.as_bytes()))).collect();
            let sums = Sums::parse(text.as_bytes()).unwrap();
            for name in &names {
                prop_assert_eq!(sums.get(name), Some(Digest::of(name.as_bytes())));
            }
        }
    }
}
