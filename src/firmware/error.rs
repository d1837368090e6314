//! Why it cannot be told what the firmware does.

use crate::error::{Classified, ErrorClass};

/// Why it cannot be told which command line the firmware will read.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// A file cannot be read.
    #[error(transparent)]
    Read(E),
    /// The configuration cannot be followed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the configuration names is not there.
    #[error(
        "no command line for the kernel: config.txt has the firmware of a {board} read {looked_for}, and no such \
         file is on the boot partition. Put one there, or take the setting out of config.txt"
    )]
    Missing {
        /// The board that would read it.
        board: &'static str,
        /// Where it would be.
        looked_for: String,
    },
    /// The image is not for the board.
    #[error(
        "the base image has no device tree for a {board}: its firmware looks for {looked_for}, and no such file is on \
         the boot partition. Take a newer base image, or leave board out of the description"
    )]
    NoDeviceTree {
        /// The board that would read it.
        board: &'static str,
        /// Where it would be.
        looked_for: String,
    },
}

impl<E: Classified + 'static> Classified for Error<E> {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Config(error) => error.class(),
            Self::Missing { .. } | Self::NoDeviceTree { .. } => ErrorClass::Configuration,
        }
    }
}

/// Why a configuration cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} on the boot partition, line {line}: {why}")]
pub struct ConfigError {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) why: String,
}

impl Classified for ConfigError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}
