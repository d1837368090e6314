//! Why a file is not the bill of a card.

use crate::error::{Classified, ErrorClass};

/// Why a file is not the bill of a card, or why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no SPDX document in JSON.
    #[error("it is not an SPDX document in JSON")]
    Json(#[source] serde_json::Error),
    /// It is one of another version.
    #[error("it is written in {0:?}, and SPDX-2.3 is read")]
    Version(String),
    /// It is one that somebody else wrote.
    #[error("it is no bill of a card: it has no package SPDXRef-Card, as what pibake build writes has")]
    Foreign,
    /// Something in it is not as pibake writes it.
    #[error("{item}: {why}")]
    Item {
        /// What.
        item: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time of a build is none that a document can have.
    #[error(
        "{0} seconds after 1970 is no time that an SPDX document can have: set SOURCE_DATE_EPOCH or the clock"
    )]
    Time(i64),
    /// It cannot be put into JSON.
    #[error("writing the bill")]
    Write(#[source] serde_json::Error),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Json(_) | Self::Version(_) | Self::Foreign | Self::Item { .. } => ErrorClass::Damaged,
            Self::Time(_) => ErrorClass::Configuration,
            Self::Write(_) => ErrorClass::Internal,
        }
    }
}
