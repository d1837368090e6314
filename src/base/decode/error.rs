//! Why something cannot be decompressed.

use std::io;

use crate::error::{Classified, ErrorClass};
use crate::io::human_bytes;

/// Why something cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// A web page.
    #[error("it is a web page, not an image: usually a captive portal or a file that has moved")]
    WebPage,
    /// A format that is not decoded.
    #[error("it is {0}: unpack it and give the image inside")]
    Unsupported(&'static str),
    /// Neither compressed in a way that is known nor a disk image.
    #[error(
        "it is neither a disk image (no partition table) nor packed as .xz, .zst or .gz; it starts with {0}"
    )]
    Unknown(String),
    /// The end is missing.
    #[error("it ends too early, after {0} bytes of the image: the file is truncated")]
    Truncated(u64),
    /// The compressed data contradict themselves.
    #[error("it is damaged, {1} bytes of the image on: {0}")]
    Corrupt(String, u64),
    /// It unpacks to more than is granted.
    #[error(
        "it unpacks to more than {}, which is more than it should be; if it is meant to be as large, say so with --max-base-size",
        human_bytes(*.0)
    )]
    TooLarge(u64),
    /// It was packed with a window that takes more memory than is granted.
    #[error(
        "it was packed so that unpacking takes more than {0} MiB of memory: pack it with a smaller dictionary"
    )]
    Memory(u64),
}

impl Classified for DecodeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Empty
            | Self::Unsupported(_)
            | Self::Unknown(_)
            | Self::WebPage
            | Self::Truncated(_)
            | Self::Corrupt(..)
            | Self::TooLarge(_)
            | Self::Memory(_) => ErrorClass::Verification,
        }
    }
}

impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// The source of a decoder gave up: not the decoder's fault, and not the end of the file either.
#[derive(Debug, thiserror::Error)]
#[error("the source of compressed data failed")]
pub(crate) struct Broken;

impl Classified for Broken {
    fn class(&self) -> ErrorClass {
        ErrorClass::Failed
    }
}

pub(crate) fn is_broken(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|e| e.is::<Broken>())
}
