//! What is wrong with a description, and where it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::excerpt::{About, excerpt};
use crate::error::{Classified, ErrorClass};

/// Why there is no [`super::Cluster`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the description cannot be read.
    #[error("reading {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The description is not one that can be built; at least one problem.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unreadable { .. } | Self::Invalid(_) => ErrorClass::Configuration,
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One thing that is wrong with a description. It never shows a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Where the value was written.
    pub origin: Origin,
    /// The key that it belongs to, such as `network.wifi.password`; empty for the whole file.
    pub key: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The line of the description, and a mark below the fault.
    pub excerpt: Option<String>,
}

impl Problem {
    /// The same with the line of `text` that it is about: the value of a key, or the table that lacks one.
    pub(super) fn shown_in(self, text: &str) -> Self {
        let excerpt = match self.origin {
            Origin::File { line, column, .. } => excerpt(text, line, column, About::Value),
            Origin::Flag(_) | Origin::Default => None,
        };
        Self { excerpt, ..self }
    }
}

impl Classified for Problem {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the description.
    File {
        /// The file as the user calls it.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// On the command line, by this option.
    Flag(&'static str),
    /// Nowhere: it is a default.
    Default,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, message, .. } = self;
        match origin {
            Origin::File { file, line, column } => {
                write!(f, "{file}:{line}:{column}: ")?;
            }
            Origin::Flag(flag) => return write!(f, "{flag}: {message}"),
            Origin::Default => {}
        }
        if key.is_empty() {
            f.write_str(message)?
        } else {
            write!(f, "{key}: {message}")?
        }
        self.excerpt.as_ref().map_or(Ok(()), |excerpt| write!(f, "\n{excerpt}"))
    }
}

/// Where each key of a description was written.
#[derive(Clone, Default)]
pub(super) struct Origins {
    pub(super) file: String,
    /// Line and column, from 1.
    pub(super) positions: BTreeMap<String, (usize, usize)>,
    pub(super) flags: BTreeMap<String, &'static str>,
    /// Files that secrets were read from, by key.
    pub(super) secret_files: BTreeMap<String, PathBuf>,
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origins({:?}, …)", self.file)
    }
}

/// Where a value was written is no part of what it says.
impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origins {}

impl Origins {
    /// Whether the user gave `key`.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.flags.contains_key(key) || self.positions.contains_key(key)
    }

    /// Where `key` of the node with this number is written: beside it, or at the top for all.
    pub(super) fn of_node(&self, number: u16, key: &str) -> String {
        let own = format!("nodes[{number}].{key}");
        if self.is_set(&own) { own } else { key.to_owned() }
    }

    /// Where `key`, or the nearest table around it, was written.
    pub(super) fn of(&self, key: &str) -> Origin {
        let mut around = key;
        loop {
            if let Some(flag) = self.flags.get(around) {
                return Origin::Flag(flag);
            }
            if let Some(&(line, column)) = self.positions.get(around) {
                return Origin::File { file: self.file.clone(), line, column };
            }
            match around.rfind(['.', '[']) {
                Some(end) => around = &around[..end],
                None => return Origin::Default,
            }
        }
    }

    /// A problem with the value of `key`.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem { origin: self.of(key), key: key.to_owned(), message: message.into(), excerpt: None }
    }
}
