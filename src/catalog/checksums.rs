//! Both checksums that a bill has of a file: SPDX wants SHA-1 of each (SPDX 2.3, 8.4.2), and SHA-256 is what is relied on.

use sha1::Digest as _;

use super::{Digest, Hasher};

/// SHA-1 and SHA-256 of the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksums {
    /// SHA-1, which says nothing against somebody who means harm.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: Digest,
}

impl Checksums {
    /// Of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = ChecksumHasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Both of bytes that come in pieces.
#[derive(Debug, Default)]
pub struct ChecksumHasher {
    sha1: sha1::Sha1,
    sha256: Hasher,
}

impl ChecksumHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }

    /// The checksums of all that it took.
    #[must_use]
    pub fn finish(self) -> Checksums {
        Checksums { sha1: self.sha1.finalize().into(), sha256: self.sha256.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_of_the_same_bytes() {
        let mut pieces = ChecksumHasher::default();
        pieces.update(b"a");
        pieces.update(b"bc");
        let found = pieces.finish();
        assert_eq!(found, Checksums::of(b"abc"));
        assert_eq!(hex::encode(found.sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(found.sha256, Digest::of(b"abc"));
    }
}
