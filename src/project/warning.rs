//! What is probably not meant, in a description and around it.

use std::fmt;
use std::path::PathBuf;

use crate::cluster;
use crate::io::shell_word;

/// What is allowed but probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// In the description itself.
    Cluster(cluster::Warning),
    /// Others can read a file that holds secrets.
    Readable {
        /// The file.
        file: PathBuf,
        /// What is in it.
        holds: Holds,
        /// The permission bits of its mode.
        mode: u32,
        /// Whether they can be changed: some file systems keep none.
        fixable: bool,
    },
}

/// What is secret in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// The values of these keys of the description.
    Keys(Vec<String>),
    /// A password and nothing else.
    Password,
    /// The private key of a certificate.
    PrivateKey,
    /// Settings for cloud-init that look as if a password were among them.
    PerhapsPassword,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(warning) => warning.fmt(f),
            Self::Readable { file, holds, mode, fixable } => {
                let (name, quoted) = (file.display(), shell_word(file));
                write!(f, "{name} {holds} and can be read by others (mode {mode:03o}): ")?;
                if *fixable {
                    write!(f, "chmod 600 {quoted}")
                } else {
                    f.write_str("its file system keeps no file modes; put it on a Linux file system")
                }
            }
        }
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(keys) => write!(f, "holds secrets ({})", keys.join(", ")),
            Self::Password => f.write_str("holds a password"),
            Self::PrivateKey => f.write_str("holds a private key"),
            Self::PerhapsPassword => f.write_str("may hold a password"),
        }
    }
}
