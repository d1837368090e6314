//! What is for some machines' eyes only: encrypted in age's form (age-encryption.org/v1), for keys of X25519.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::x25519;

use crate::error::{Classified, ErrorClass};

/// What age's secret keys begin with; written in small letters they are the same keys.
const SECRET: &str = "AGE-SECRET-KEY-";
/// What its public keys begin with.
const PUBLIC: &str = "age1";

/// A text that is no public key of age's. Only what looks like one is shown: what else was taken for a key may be a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Nearly one.
    #[error("{given:?} is not a public key (age1…), as pibake key and age-keygen give it")]
    Slip {
        /// The text.
        given: String,
    },
    /// Something else.
    #[error("it is not a public key (age1…), as pibake key and age-keygen give it")]
    Other,
    /// The half that nobody else may have.
    #[error("it is a secret key: name the public one, age1…, which pibake key shows on that machine")]
    Secret,
}

impl Classified for InvalidKey {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

/// A machine that may make cards: its public key.
#[derive(Clone)]
pub struct Recipient(x25519::Recipient);

impl FromStr for Recipient {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        text.parse().map(Self).map_err(|_| {
            if is_secret(text) {
                InvalidKey::Secret
            } else if is_public(text) {
                InvalidKey::Slip { given: text.to_owned() }
            } else {
                InvalidKey::Other
            }
        })
    }
}

/// Whether this text is meant to be a secret key, however wrong it is.
pub(super) fn is_secret(text: &str) -> bool {
    text.trim_start().get(..SECRET.len()).is_some_and(|head| head.eq_ignore_ascii_case(SECRET))
}

/// Whether this text is meant to be a public key.
pub(super) fn is_public(text: &str) -> bool {
    text.starts_with(PUBLIC)
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A machine's own key.
#[derive(Clone)]
pub struct StationKey(x25519::Identity);

/// Shows its public half.
impl fmt::Debug for StationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StationKey").field(&self.public()).finish()
    }
}

impl StationKey {
    /// A new one.
    #[must_use]
    pub fn make() -> Self {
        Self(x25519::Identity::generate())
    }

    /// What others encrypt for.
    #[must_use]
    pub fn public(&self) -> Recipient {
        Recipient(self.0.to_public())
    }

    /// As a file, which age takes for `-i`.
    pub(super) fn file(&self) -> String {
        format!("# public key: {}\n{}\n", self.public(), self.0.to_string().expose_secret())
    }

    /// Of such a file; none where it holds none. What is in it is told to nobody.
    pub(super) fn of_file(text: &str) -> Option<Self> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        line.parse().ok().map(Self)
    }
}

/// `content` for these alone.
///
/// # Errors
/// Where there is nobody to encrypt for.
pub(super) fn seal(content: &[u8], recipients: &[Recipient]) -> io::Result<Vec<u8>> {
    let all = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(all).map_err(io::Error::other)?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(content)?;
    writer.finish()?;
    Ok(sealed)
}

/// Why something cannot be read that was encrypted.
pub(super) enum Closed {
    /// It is for others.
    NotForUs,
    /// It is not what was encrypted.
    Damaged(String),
}

/// What was encrypted for the one with this key, at most `limit` bytes.
pub(super) fn open(sealed: &[u8], key: &StationKey, limit: u64) -> Result<Vec<u8>, Closed> {
    let closed = |fault: age::DecryptError| match fault {
        age::DecryptError::NoMatchingKeys => Closed::NotForUs,
        other => Closed::Damaged(other.to_string()),
    };
    let decryptor = age::Decryptor::new(sealed).map_err(closed)?;
    let reader = decryptor.decrypt(std::iter::once(&key.0 as &dyn age::Identity)).map_err(closed)?;
    let mut content = Vec::new();
    reader.take(limit).read_to_end(&mut content).map_err(|e| Closed::Damaged(e.to_string()))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_named_can_read_it_and_others_cannot() {
        let [one, two, other] = [(); 3].map(|()| StationKey::make());
        let sealed = seal(b"a token", &[one.public(), two.public()]).unwrap();
        for key in [&one, &two] {
            assert_eq!(open(&sealed, key, 100).ok().as_deref(), Some(&b"a token"[..]));
        }
        assert!(matches!(open(&sealed, &other, 100), Err(Closed::NotForUs)));
        assert!(!sealed.windows(7).any(|window| window == b"a token"));
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for bad in [&damaged[..], &sealed[..sealed.len() - 1], b"", b"age-encryption.org/v1\n"] {
            assert!(matches!(open(bad, &one, 100), Err(Closed::Damaged(_))));
        }
        seal(b"", &[]).unwrap_err();
    }

    #[test]
    fn keys_are_ages() {
        let key = StationKey::make();
        let again = StationKey::of_file(&key.file()).unwrap();
        assert_eq!(again.public().to_string(), key.public().to_string());
        assert!(key.public().to_string().starts_with("age1"));
        assert!(key.public().to_string().parse::<Recipient>().is_ok());
        assert!(!format!("{key:?}").contains("SECRET"));
        assert!(StationKey::of_file("# nothing\n").is_none());
        let error = "age1xyz".parse::<Recipient>().unwrap_err().to_string();
        assert!(error.contains("\"age1xyz\" is not a public key (age1…)"), "{error}");
        // what may be a secret is told to nobody
        let secret = key.file().lines().last().unwrap().to_owned();
        for text in [&*secret, &secret.to_lowercase(), &secret[..30], "another secret"] {
            let error = text.parse::<Recipient>().unwrap_err();
            assert_eq!(matches!(error, InvalidKey::Secret), text != "another secret");
            assert!(!format!("{error} {error:?}").contains(text), "{error:?}");
        }
    }
}
