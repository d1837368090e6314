//! The kinds of file that a build can write.

use std::fmt;
use std::str::FromStr;

use crate::error::{Classified, ErrorClass};

/// What a node's image is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// The card's bytes, one to one, with holes where nothing is stored.
    #[default]
    Raw,
    /// QEMU's copy-on-write format, version 3, without a backing file.
    Qcow2,
    /// The card's bytes compressed with Zstandard.
    Zst,
    /// The card's bytes compressed with xz.
    Xz,
}

/// A name that is not a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an image format: choose raw, qcow2, zst or xz")]
pub struct UnknownFormat(String);

impl Classified for UnknownFormat {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

impl Format {
    /// All formats, in the order in which help texts name them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Qcow2, Self::Zst, Self::Xz];

    /// The name by which users choose it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Zst => "zst",
            Self::Xz => "xz",
        }
    }

    /// What follows the node's name in the name of its file, without the dot before it.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Raw => "img",
            Self::Qcow2 => "qcow2",
            Self::Zst => "img.zst",
            Self::Xz => "img.xz",
        }
    }

    /// The name of the file of `node`.
    #[must_use]
    pub fn file_name(self, node: &str) -> String {
        format!("{node}.{}", self.extension())
    }

    /// Whether it is the name of some node's file.
    pub(super) fn is_file_name(name: &str) -> bool {
        Self::ALL.iter().any(|format| {
            name.strip_suffix(format.extension()).is_some_and(|node| node.len() > 1 && node.ends_with('.'))
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let said = "img".parse::<Format>().unwrap_err().to_string();
        assert_eq!(said, "\"img\" is not an image format: choose raw, qcow2, zst or xz");
        assert_eq!(Format::Zst.file_name("node-1"), "node-1.img.zst");
        assert!(["node-1.img.zst", "n.qcow2", "a.b.img"].into_iter().all(Format::is_file_name));
        assert!(!["node-1.txt", ".img", "img", "node-1img"].into_iter().any(Format::is_file_name));
    }
}
