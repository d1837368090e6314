//! What people should know of a run that is neither progress nor an error.

use std::fmt;
use std::path::PathBuf;

use crate::identity::Fixed;
use crate::project;

/// Something people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Which description was read; `None` where there is none, and all defaults hold.
    Description(Option<PathBuf>),
    /// The secrets of a new cluster were made.
    Created {
        /// Its name.
        cluster: String,
        /// Where its secrets are.
        state: PathBuf,
    },
    /// The lock of a description was written.
    Locked(PathBuf),
    /// Something is probably not meant.
    Warning(Warning),
}

/// What is allowed, and may not be meant or may harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Of the description and the files that it names.
    Project(project::Warning),
    /// With a new card of its control plane the cluster begins anew, as another one than it was.
    BeginsAnew(Fixed),
    /// The base image was a machine of its own before.
    BaseInUse {
        /// A path that is cleaned, and what was there.
        first: (String, String),
        /// How many more there are.
        more: usize,
    },
    /// Another cluster's image is in the folder that images go to.
    OthersImage {
        /// The image.
        path: PathBuf,
        /// The other cluster's name.
        cluster: String,
    },
    /// The folder that images go to cannot keep anybody from reading them.
    NoModes {
        /// The folder.
        dir: PathBuf,
    },
    /// A drive counts in other sectors than the image does.
    LargeSectors {
        /// The drive.
        drive: PathBuf,
        /// The size of its sectors in bytes.
        sector: u32,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description(Some(file)) => write!(f, "the description is {}", file.display()),
            Self::Description(None) => {
                f.write_str("no pibake.toml in this folder or above: all defaults hold")
            }
            Self::Created { cluster, state } => write!(
                f,
                "created cluster {cluster:?} in {}: keep a copy of it, later cards and kubectl need its keys",
                state.display()
            ),
            Self::Locked(path) => {
                write!(
                    f,
                    "{} has the digests of what is preloaded now; pibake update moves it on",
                    path.display()
                )
            }
            Self::Warning(warning) => write!(f, "warning: {warning}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(warning) => warning.fmt(f),
            Self::BeginsAnew(Fixed { key, made, now, .. }) => write!(
                f,
                "{key} was {made} and is {now} now: with this card of the control plane the cluster starts over, \
                 so write all others again, too"
            ),
            Self::BaseInUse { first: (path, what), more } => {
                let more = if *more == 0 { String::new() } else { format!(" and {more} more") };
                write!(
                    f,
                    "the base image was in use before. Not on the cards: {path} ({what}){more}; pibake plan \
                     --node N lists all"
                )
            }
            Self::OthersImage { path, cluster } => {
                write!(f, "{} in the same folder is of another cluster ({cluster:?})", path.display())
            }
            Self::NoModes { dir } => write!(
                f,
                "the file system of {} keeps no file modes: everybody on this machine can read the cluster's \
                 secrets in the images",
                dir.display()
            ),
            Self::LargeSectors { drive, sector } => write!(
                f,
                "{} has sectors of {sector} bytes; the image counts in 512, and a Raspberry Pi may not find its \
                 partitions",
                drive.display()
            ),
        }
    }
}
