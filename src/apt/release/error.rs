//! What can be wrong with a `Release` file.

use crate::apt::control::ControlError;
use crate::error::{Classified, ErrorClass};

/// Why a `Release` file is not believed, or does not have what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It is not a control file.
    #[error("reading the Release file")]
    Control(#[from] ControlError),
    /// It does not say what it must.
    #[error("the Release file {0}")]
    Form(String),
    /// Its time is over.
    #[error(
        "the Release file expired {days} days ago ({until}): the mirror is out of date, or somebody holds updates back; use another mirror, and check this machine's clock"
    )]
    Expired {
        /// Whole days.
        days: u64,
        /// As the file has it.
        until: String,
    },
    /// It is from the future.
    #[error("the Release file is dated {seconds} s in the future ({date}): check this machine's clock")]
    Future {
        /// How far.
        seconds: u64,
        /// As the file has it.
        date: String,
    },
    /// A later one was seen before.
    #[error(
        "the Release file ({date}) is older than one that came before from the same repository: the mirror went back, or somebody replays it; use another mirror"
    )]
    Replayed {
        /// As the file has it.
        date: String,
    },
    /// It is another suite's.
    #[error(
        "asked for the suite {asked}, but the Release file is for suite {suite:?}, codename {codename:?}"
    )]
    Suite {
        /// What was asked for.
        asked: String,
        /// What the file says.
        suite: String,
        /// What the file says.
        codename: String,
    },
    /// A component is not there.
    #[error("the repository has no component {component}; it has {}", known.join(", "))]
    Component {
        /// What was asked for.
        component: String,
        /// What there is.
        known: Vec<String>,
    },
    /// An index is not there.
    #[error(
        "the repository has no {0} that can be read, as .xz, .gz or plain text: is it for this architecture?"
    )]
    Index(String),
}

impl Classified for ReleaseError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Control(error) => error.class(),
            Self::Form(_) => ErrorClass::Damaged,
            Self::Expired { .. } | Self::Future { .. } | Self::Replayed { .. } | Self::Suite { .. } => {
                ErrorClass::Verification
            }
            Self::Component { .. } | Self::Index(_) => ErrorClass::Configuration,
        }
    }
}
