//! Why it is not known what is installed.

use crate::apt::StatusError;
use crate::error::{Classified, ErrorClass};
use crate::image_path::InvalidImagePath;
use crate::image_reader;

/// Why it is not known what is installed on an image.
#[derive(Debug, thiserror::Error)]
pub enum Unlisted {
    /// It cannot be looked into.
    #[error(transparent)]
    ImageReader(#[from] image_reader::Error),
    /// Its list makes no sense.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The path of its list is none.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
}

impl Classified for Unlisted {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ImageReader(error) => error.class(),
            Self::Status(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}
