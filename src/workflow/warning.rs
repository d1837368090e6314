//! What people should know of a run that is neither progress nor an error.

use std::fmt;
use std::path::PathBuf;

use crate::cluster::{Bootloader, OutOfSupport};
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
    /// Boards do not start what is baked with an old bootloader.
    Bootloader(Bootloader),
    /// Something is probably not meant.
    Warning(Warning),
}

/// What is allowed, and may not be meant or may harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Of the description and the files that it names.
    Project(project::Warning),
    /// What runs on the nodes gets no security fixes any more.
    OutOfSupport(OutOfSupport),
    /// A key that packages are verified with ends soon after the cards are made, or has ended.
    KeyEnds {
        /// Where it is on the cards.
        path: String,
        /// Its fingerprint, in upper case.
        key: String,
        /// Its last second, since 1970.
        end: i64,
        /// When the cards are made, likewise.
        now: i64,
        /// The key of the description that takes another one.
        setting: Option<&'static str>,
        /// Where a node fetches it again, with `{minor}` for the minor version of Kubernetes.
        url: Option<String>,
    },
    /// The cluster's CA ends before long.
    AuthorityEnds {
        /// Its last second, since 1970.
        end: i64,
        /// When the cards are made, likewise.
        now: i64,
    },
    /// With a new card of its control plane the cluster begins anew, as another one than it was.
    BeginsAnew(Fixed),
    /// With a new card of its control plane the cluster is empty again, if it was in use.
    Empties,
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
    /// The card of an emulated machine was created before the description was changed.
    KeptCard {
        /// The node.
        node: String,
        /// Where its card is kept.
        dir: PathBuf,
    },
    /// The folder that images go to cannot keep anybody from reading them.
    NoModes {
        /// The folder.
        dir: PathBuf,
    },
    /// Nor can the folder that a description is written into.
    OpenDescription {
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
            Self::Bootloader(Bootloader { system, boards, oldest }) => {
                let boards: Vec<_> = boards.iter().map(|board| format!("a {}", board.name())).collect();
                write!(
                    f,
                    "{system} needs a bootloader of {oldest} or later in the EEPROM of {}: on the running board, sudo \
                     rpi-eeprom-update says which it has, and sudo rpi-eeprom-update -a updates it",
                    boards.join(" and ")
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
            Self::OutOfSupport(out) => out.fmt(f),
            Self::KeyEnds { path, key, end, now, setting, url } => {
                let (ends, when) =
                    if end > now { ("expires", left(*end, *now)) } else { ("expired", String::new()) };
                write!(f, "the key {key} in {path} {ends} on {}{when}: ", day(*end))?;
                match url {
                    Some(url) => {
                        write!(f, "a node that is first started after that must reach {url} to renew it")?
                    }
                    None => f.write_str("packages that it signs cannot be installed after that")?,
                }
                match setting {
                    Some(setting) => {
                        write!(f, "; where it cannot, give a newer copy of the key in {setting}")
                    }
                    None => f.write_str("; put a newer copy into the overlay"),
                }
            }
            Self::AuthorityEnds { end, now } if end > now => write!(
                f,
                "the cluster's CA expires on {}{}: all of its nodes and certificates end with it; make a new cluster \
                 before, or renew its CA by hand (kubernetes.io: manual rotation of CA certificates)",
                day(*end),
                left(*end, *now)
            ),
            Self::AuthorityEnds { end, .. } => write!(f, "the cluster's CA expired on {}", day(*end)),
            Self::BeginsAnew(Fixed { key, made, now, .. }) => write!(
                f,
                "{key} was {made} and is {now} now: with this card of the control plane the cluster starts over, \
                 so write all others again, too"
            ),
            Self::Empties => f.write_str(
                "this card of the control plane begins with an empty cluster. If this one is in use, all that is in it \
                 is lost (deployments, secrets, volumes' claims), and the other nodes' cards must be written again, too. \
                 To keep it, run pibake backup while node-1 still answers, and write a card with what pibake restore \
                 COPY makes",
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
            Self::KeptCard { node, dir } => write!(
                f,
                "{node}'s card is kept as it was written, and would be different now; remove {} for a new one",
                dir.display()
            ),
            Self::NoModes { dir } => write!(
                f,
                "the file system of {} keeps no file modes: everybody on this machine can read the cluster's \
                 secrets in the images",
                dir.display()
            ),
            Self::OpenDescription { dir } => write!(
                f,
                "the file system of {} keeps no file modes (FAT, exFAT, a Windows drive in WSL): everybody on this \
                 machine can read passwords in the description, and no cluster can be built there; use a folder on a \
                 Linux file system",
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

/// A day for people, in UTC.
fn day(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |time| time.date().to_string())
}

/// How long it is until then, in words that go after a date.
fn left(end: i64, now: i64) -> String {
    match (end - now) / (24 * 60 * 60) {
        0 => ", within a day".to_owned(),
        1 => ", in 1 day".to_owned(),
        days => format!(", in {days} days"),
    }
}
