//! A path inside an image, as opposed to one on this machine.

use std::fmt;

use crate::error::{Classified, ErrorClass};

/// An absolute, normalised path inside a partition of an image, with `/` between the parts.
///
/// It can neither climb out (`..`) nor name the same file twice (`//`, `.`), so recipes and
/// file systems may compare and sort it as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(String);

/// Why a text is not an [`ImagePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a path inside an image: {reason}")]
pub struct InvalidImagePath {
    path: String,
    reason: &'static str,
}

impl Classified for InvalidImagePath {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

/// Longest name of one path component in bytes, in ext4 (`EXT4_NAME_LEN`) and in FAT's long names.
const NAME_MAX: usize = 255;

impl ImagePath {
    /// Checks and wraps `path`, which must start with `/`.
    pub fn new(path: impl Into<String>) -> Result<Self, InvalidImagePath> {
        let path = path.into();
        let fault = if !path.starts_with('/') {
            Some("it must start with '/'")
        } else if path.contains('\0') {
            Some("it holds a NUL byte")
        } else if path.len() > 1 && path.ends_with('/') {
            Some("it must not end with '/'")
        } else if path.len() > 1 && path[1..].split('/').any(|p| matches!(p, "" | "." | "..")) {
            Some("it must hold no empty part, '.' or '..'")
        } else if path.split('/').any(|p| p.len() > NAME_MAX) {
            Some("a part of it is longer than 255 bytes")
        } else {
            None
        };
        match fault {
            Some(reason) => Err(InvalidImagePath { path, reason }),
            None => Ok(Self(path)),
        }
    }

    /// The root directory.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path as text, starting with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|p| !p.is_empty())
    }

    /// The last part; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.components().last()
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (head, name) = self.0.rsplit_once('/')?;
        match (head, name) {
            (_, "") => None,
            ("", _) => Some(Self::root()),
            _ => Some(Self(head.to_owned())),
        }
    }

    /// The directories above this path, outermost first, without the root.
    pub fn ancestors(&self) -> Vec<Self> {
        let mut above: Vec<Self> =
            std::iter::successors(self.parent(), Self::parent).filter(|p| p.0 != "/").collect();
        above.reverse();
        above
    }

    /// This path with one more part.
    pub fn join(&self, name: &str) -> Result<Self, InvalidImagePath> {
        Self::new(format!("{}/{name}", self.0.trim_end_matches('/')))
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ImagePath {
    type Err = InvalidImagePath;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_normalised_paths_pass() {
        for good in ["/", "/etc", "/etc/hosts", "/a b/ü"] {
            assert_eq!(ImagePath::new(good).map(|p| p.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "etc", "/etc/", "//", "/a//b", "/a/./b", "/a/../b", "/..", "/a\0b"] {
            assert!(ImagePath::new(bad).is_err(), "{bad:?} passed");
        }
        assert!(ImagePath::new(format!("/{}", "x".repeat(256))).is_err());
    }

    #[test]
    fn parents_end_at_the_root() {
        let path = ImagePath::new("/etc/netplan/x.yaml").unwrap();
        let above: Vec<_> = path.ancestors().iter().map(ToString::to_string).collect();
        assert_eq!(above, ["/etc", "/etc/netplan"]);
        assert_eq!(ImagePath::root().parent(), None);
        assert_eq!(ImagePath::new("/a").unwrap().parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().join("a").unwrap().as_str(), "/a");
        assert_eq!(path.file_name(), Some("x.yaml"));
    }
}
