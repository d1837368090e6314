//! What was looked at before an image was used.

use std::fmt;

/// What was looked at before an image was used, and so how far its [`Trust`](crate::base::Trust) reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It was unpacked in this run, and the SHA-256 of the published file was taken on the way.
    Unpacked,
    /// It is in the cache, and its size, times, inode and device are those of the file that was
    /// verified when it was unpacked.
    Unchanged,
    /// It is in the cache and was read in full in this run: it has the checksum of what was verified.
    Content,
    /// It is used in place and its SHA-256 was taken in this run.
    Hashed,
    /// It is used in place, and its size, times, inode and device are those of the file whose SHA-256
    /// was taken in an earlier run.
    Remembered,
}

impl Checked {
    /// One word, for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpacked => "unpacked",
            Self::Unchanged => "unchanged",
            Self::Content => "content",
            Self::Hashed => "hashed",
            Self::Remembered => "remembered",
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unpacked => "unpacked just now, its SHA-256 taken on the way",
            Self::Unchanged => "unchanged since it was unpacked and verified, by size, times and inode (--check reads it in full)",
            Self::Content => "read in full just now: its content is what was verified",
            Self::Hashed => "its SHA-256 was taken just now",
            Self::Remembered => "unchanged since its SHA-256 was taken, by size, times and inode (--check reads it in full)",
        })
    }
}
