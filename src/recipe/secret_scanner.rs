//! A second look for secrets: whatever way one came into a file, its text is not to be there
//! without the file being known for secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem::Finder;

/// Shorter texts stand in files by chance.
const SHORTEST: usize = 8;

/// What is looked for: each secret as it is, in base64 at any offset, and in hexadecimal digits.
#[derive(Debug, Default)]
pub(super) struct SecretScanner(Vec<Finder<'static>>);

impl SecretScanner {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let long = secrets.filter(|secret| secret.len() >= SHORTEST);
        Self(long.flat_map(encodings).map(|text| Finder::new(&text).into_owned()).collect())
    }

    /// Whether one of the secrets stands in `content`.
    pub(super) fn finds_secret(&self, content: &[u8]) -> bool {
        self.0.iter().any(|text| text.find(content).is_some())
    }
}

fn encodings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut encodings = vec![bytes.to_vec(), hex::encode(bytes).into(), hex::encode_upper(bytes).into()];
    // In base64 a text has three looks, by where in the whole it begins; the characters at both
    // ends hang on what stands beside it.
    for before in 0..3usize {
        let text = STANDARD_NO_PAD.encode([&vec![0; before][..], bytes].concat());
        let first = (before * 8).div_ceil(6);
        let last = (before + bytes.len()) * 8 / 6;
        encodings.extend(text.get(first..last).map(|part| part.as_bytes().to_vec()));
    }
    encodings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_texts_are_not_looked_for() {
        assert!(!SecretScanner::new(["1234567"].into_iter()).finds_secret(b"1234567"));
        assert!(SecretScanner::new(["12345678"].into_iter()).finds_secret(b"x12345678"));
    }

    proptest! {
        #[test]
        fn a_secret_is_found_in_each_form(secret in "[!-~]{8,40}", before in "\\PC{0,9}", after in "\\PC{0,9}") {
            let scanner = SecretScanner::new([secret.as_str()].into_iter());
            let whole = format!("{before}{secret}{after}");
            prop_assert!(scanner.finds_secret(whole.as_bytes()));
            prop_assert!(scanner.finds_secret(base64::engine::general_purpose::STANDARD.encode(&whole).as_bytes()));
            prop_assert!(scanner.finds_secret(hex::encode(&whole).as_bytes()));
        }
    }
}
