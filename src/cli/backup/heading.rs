//! What a node hands out begins with a line that says which copy follows. It may be anybody's who has the node by now: what
//! becomes a name here has one form and no other.

use crate::catalog::Digest;
use crate::identity::snapshot::LARGEST;

/// The first word of the line; the name of the archive, its size and its SHA-256 follow.
const FIRST: &str = "pibake-backup";
/// No such line is longer, in bytes.
pub(super) const LINE_MAX: usize = 4096;

/// Which copy follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    /// When it was made, as the node says it: 20261126T131227Z.
    pub(super) stamp: String,
    /// In bytes.
    pub(super) size: u64,
    /// Its SHA-256.
    pub(super) digest: Digest,
}

impl Heading {
    /// Reads the line, less its end, of a copy whose name ends in `suffix`. `None` where it is another line.
    ///
    /// # Errors
    /// What is wrong with the copy by its line.
    pub(super) fn read(line: &[u8], suffix: &str) -> Result<Option<Self>, &'static str> {
        let line = String::from_utf8_lossy(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, size, digest) = match words[..] {
            [FIRST, name, size, digest] => (name, size, digest),
            // A name that is empty or has a blank in it.
            [FIRST, ..] => return Err("has a name that no node gives"),
            _ => return Ok(None),
        };
        let size: Option<u64> = size.parse().ok();
        let size = size.filter(|size| (1..=LARGEST).contains(size)).ok_or("says no size")?;
        let stamp = name.strip_suffix(suffix).filter(|stamp| is_stamp(stamp));
        let stamp = stamp.ok_or("has a name that no node gives")?.to_owned();
        let digest = digest.parse().map_err(|_| "says no SHA-256")?;
        Ok(Some(Self { stamp, size, digest }))
    }
}

/// Whether it is a time as `snapshot`, a program of node-1's, writes it.
pub(super) fn is_stamp(text: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 16 && text.bytes().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(name: &str, size: &str, digest: &str) -> Result<Option<Heading>, &'static str> {
        Heading::read(format!("pibake-backup {name} {size} {digest}").as_bytes(), ".tar")
    }

    #[test]
    fn a_copy_is_called_by_its_time_and_by_nothing_else() {
        let heading = read("20261126T131227Z.tar", "5335040", DIGEST).unwrap().unwrap();
        assert_eq!((heading.stamp.as_str(), heading.size), ("20261126T131227Z", 5_335_040));
        let long = "x".repeat(4000);
        for stamp in [
            "",
            ".",
            "..",
            "Documents",
            "20261126T131227Z/..",
            "/20261126T131227Z",
            "20261126T131227z",
            "20261126131227ZZ",
            "2026\u{661}126T13122Z",
            "20261126T131227Z.tar",
            long.as_str(),
        ] {
            assert_eq!(
                read(&format!("{stamp}.tar"), "1", DIGEST),
                Err("has a name that no node gives"),
                "{stamp}"
            );
        }
        for name in ["", "a b", "20261126T131227Z", "20261126T131227Z.tar.gpg"] {
            assert_eq!(read(name, "1", DIGEST), Err("has a name that no node gives"), "{name}");
        }
        for size in ["0", "-1", "x", "99999999999999999999"] {
            assert_eq!(read("20261126T131227Z.tar", size, DIGEST), Err("says no size"), "{size}");
        }
        for digest in ["x", &DIGEST[1..], &DIGEST.replace('e', "g")] {
            assert_eq!(read("20261126T131227Z.tar", "1", digest), Err("says no SHA-256"), "{digest}");
        }
        for line in ["", "Welcome to Ubuntu", "pibake-backups 1 2 3"] {
            assert_eq!(Heading::read(line.as_bytes(), ".tar"), Ok(None), "{line}");
        }
    }
}
