//! What an OpenPGP key is known by.

use std::fmt;
use std::str::FromStr;

/// The fingerprint of a version 4 OpenPGP key: a SHA-1 (RFC 9580, 5.5.4.2). Displayed in upper case, as gpg
/// lists it for programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// The fingerprint with these bytes.
    pub(super) const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    /// Takes 40 hexadecimal digits of either case, in groups or not, as gpg shows them to people.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 20];
        match hex::decode_to_slice(text.replace(' ', ""), &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err("must be the fingerprint of an OpenPGP key: 40 hex digits"),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::defaults;

    #[test]
    fn fingerprints_are_read_in_groups_and_either_case_and_shown_in_one() {
        let shown = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88";
        for text in ["9dc8 5822 9fc7 dd38 854a  e2d8 8d81 803c 0ebf cd88", shown, &shown.to_lowercase()] {
            assert_eq!(text.parse(), Ok(defaults::DOCKER_FINGERPRINT));
        }
        assert_eq!(defaults::DOCKER_FINGERPRINT.to_string(), shown);
        for bad in
            ["", &shown[1..], &format!("{shown}00"), &shown.replace('9', "g"), &shown.replace('9', "ü")]
        {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
