//! Why there is no identity.

use std::path::PathBuf;

use crate::error::{Classified, ErrorClass};
use crate::io::shell_word;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read, made or locked.
    #[error("{doing}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The lock beside the directory cannot be used.
    #[error(transparent)]
    Lock(crate::io::LockError),
    /// Another pibake was at work, and the one who asked did not want to wait for it.
    #[error("cancelled while another pibake was using {}: nothing in it was changed", dir.display())]
    Cancelled {
        /// The directory.
        dir: PathBuf,
    },
    /// Others may read what is secret.
    #[error(
        "{} may be read or changed by others (mode {mode:03o}): run chmod {fix} {}; if somebody else may have read it, \
         only a new cluster keeps them out: move the secrets away, build and write all cards", path.display(),
        shell_word(path)
    )]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The mode that it must have, as chmod takes it.
        fix: &'static str,
    },
    /// It belongs to another user, who could put keys of their own there.
    #[error("{} belongs to another user (uid {owner}): build as that user, or make it yours with \
        sudo chown -R \"$(id -u):$(id -g)\" {}", path.display(), shell_word(path))]
    NotOwned {
        /// The file or directory.
        path: PathBuf,
        /// Numeric owner.
        owner: u32,
    },
    /// The folder around keeps no modes: everybody could read what is made in it.
    #[error(
        "the file system of {} keeps no file modes (FAT, exFAT, a Windows drive in WSL), so everybody could \
         read the cluster's secrets there: put the description into a folder on a Linux file system",
        std::path::absolute(dir).unwrap_or_else(|_| std::env::current_dir().unwrap_or_default()).display()
    )]
    NoModes {
        /// The folder around.
        dir: PathBuf,
    },
    /// The same of a directory that was copied to where no modes are kept.
    #[error(
        "{} can be read by everybody: its file system keeps no file modes (FAT, exFAT, a Windows drive in WSL). Copy \
         the folder of the description to a Linux file system, run chmod -R go= on its {} there, and work there",
        path.display(), dir.display()
    )]
    ModesLost {
        /// The file or directory.
        path: PathBuf,
        /// Name of the directory.
        dir: PathBuf,
    },
    /// The clock says a time before this program was written.
    #[error(
        "this machine's clock says {now}, which is before this pibake was released: set the clock, or the \
         cluster's certificates would be of that time"
    )]
    Clock {
        /// What the clock says.
        now: String,
    },
    /// It was made for another description.
    #[error(
        "{} belongs to the description {found}, not to {wanted}: if the file was renamed, set description = \
         {wanted:?} in {}/identity.toml; else give each cluster a folder of its own", dir.display(), dir.display()
    )]
    OtherDescription {
        /// The directory.
        dir: PathBuf,
        /// Name of the description that it was made for.
        found: String,
        /// Name of the one in use.
        wanted: String,
    },
    /// It is a link, a device, a pipe, or a file in place of a directory.
    #[error("{} is not a plain {wanted}: pibake follows no links to secrets; move it away", path.display())]
    NotPlain {
        /// What was found.
        path: PathBuf,
        /// "file" or "directory".
        wanted: &'static str,
    },
    /// A part is missing.
    #[error(
        "{} is incomplete: {missing} is missing. Put it back from a copy; or, where no card was made \
         from it yet, remove the directory and it is created again", dir.display()
    )]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// Name of the file in it.
        missing: &'static str,
    },
    /// A part is there and makes no sense.
    #[error(
        "{} is damaged: {reason}. Put it back from a copy; or, where no card was made from its directory yet, remove \
         that and it is created again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts are not of one cluster.
    #[error(
        "{} holds parts of different clusters: {fault}. Put the right ones back from a copy, or \
         move the directory away to begin a new cluster", dir.display()
    )]
    Mixed {
        /// The directory.
        dir: PathBuf,
        /// Which parts do not match.
        fault: &'static str,
    },
    /// It is of a cluster of another name.
    #[error(
        "{} belongs to the cluster {found:?}, but the description's name is {wanted:?}: set name = \
         {found:?}, or move the directory away to begin a new cluster", dir.display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// The name that it was made for.
        found: String,
        /// The description's.
        wanted: String,
    },
    /// The certificates are out of date.
    #[error(
        "the certificates in {} are not valid at this time ({fault}): check this machine's clock; if \
         it is right, move the directory away and rebuild all cards", dir.display()
    )]
    OutOfDate {
        /// The directory.
        dir: PathBuf,
        /// Too early or too late.
        fault: &'static str,
    },
    /// The operating system gives no random bytes.
    #[error("asking the operating system for random bytes")]
    Random(#[from] getrandom::Error),
    /// A certificate cannot be made.
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A pair of SSH keys cannot be made.
    #[error("making a pair of SSH keys")]
    Ssh(#[from] ssh_key::Error),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::Lock(error) => error.class(),
            Self::Cancelled { .. } => ErrorClass::Cancelled,
            Self::Exposed { .. }
            | Self::ModesLost { .. }
            | Self::NotOwned { .. }
            | Self::NoModes { .. }
            | Self::NotPlain { .. } => ErrorClass::Refused,
            Self::OtherDescription { .. } | Self::OtherCluster { .. } => ErrorClass::Configuration,
            Self::Incomplete { .. } | Self::Damaged { .. } | Self::Mixed { .. } => ErrorClass::Damaged,
            Self::Clock { .. }
            | Self::OutOfDate { .. }
            | Self::Random(_)
            | Self::Certificate(_)
            | Self::Ssh(_) => ErrorClass::Failed,
        }
    }
}
