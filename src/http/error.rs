//! What can go wrong between an address and its bytes on the disk.

use std::io;
use std::path::{Path, PathBuf};

use super::advice::{Purpose, advice, tries, way_on, whose};
use crate::error::{Classified, ErrorClass};
use crate::io::{Cancelled, human_bytes};

/// The result of work with the network.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something about files on this machine.
    #[error("{doing}")]
    Io {
        /// What was being done, as a gerund phrase.
        doing: String,
        /// What the system said.
        source: io::Error,
    },

    /// An address that answered, but not with what was asked for.
    #[error("fetching {url}: the {} says {status}{}", whose(*.status), advice(*.status, url, purpose))]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: reqwest::StatusCode,
        /// What it was asked for.
        purpose: &'static Purpose,
    },

    /// A server that does not say what it has to strangers.
    #[error("fetching {url}: {reason}")]
    Login {
        /// What was asked for.
        url: String,
        /// Why this one stays a stranger, and what to do.
        reason: String,
    },

    /// An address that could not be talked to.
    #[error("fetching {url}: {reason}{}{}", tries(*.attempts), way_on(url, reason, purpose))]
    Network {
        /// What was asked for.
        url: String,
        /// What went wrong, with its causes.
        reason: String,
        /// How many times it was tried.
        attempts: u32,
        /// What it was asked for.
        purpose: &'static Purpose,
    },

    /// A web page came where a file was expected.
    #[error(
        "{url} answered with a web page instead of {expected}: open it in a browser; it is probably this network's login page, or the file was moved"
    )]
    WebPage {
        /// What was asked for.
        url: String,
        /// What should have come.
        expected: &'static str,
    },

    /// Something that is far larger than it may be.
    #[error("{url} is larger than {limit} bytes, the most that it may have")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// What is accepted.
        limit: u64,
    },

    /// The disk is too small, found out before or while writing.
    #[error("not enough free space in {dir}: {available} available{}; free some, or set XDG_CACHE_HOME to a larger disk", needed.map(|n| format!(", about {} needed", human_bytes(n))).unwrap_or_default(), dir = dir.display(), available = human_bytes(*.available))]
    NoSpace {
        /// Where the cache is.
        dir: PathBuf,
        /// How many bytes are needed, where it is known.
        needed: Option<u64>,
        /// How many bytes are left.
        available: u64,
    },

    /// The one who asked wants it no more.
    #[error("cancelled")]
    Cancelled,

    /// A thread ended without a result: a fault in pibake.
    #[error("reading what a server sends: a worker thread ended without a result; please report this")]
    Worker,
}

impl From<Cancelled> for Error {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::WebPage { .. } | Self::TooLarge { .. } => ErrorClass::Verification,
            Self::Status { .. } | Self::Login { .. } | Self::Network { .. } => ErrorClass::Network,
            Self::NoSpace { .. } => ErrorClass::NoSpace,
            Self::Cancelled => ErrorClass::Cancelled,
            Self::Worker => ErrorClass::Internal,
        }
    }
}

impl Error {
    /// Wraps an I/O error with what was being done to `path`.
    pub(super) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing: format!("{doing} {}", path.display()), source }
    }
}
