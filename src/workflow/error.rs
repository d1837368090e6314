//! What can go wrong on the way that is no single room's.

use std::io;
use std::path::PathBuf;

use super::change::Change;
use super::unlisted::Unlisted;
use crate::cluster::Problem;
use crate::cluster::platform::UnknownPlatform;
use crate::error::{Classified, ErrorClass};
use crate::image_path::InvalidImagePath;
use crate::io::nearest;
use crate::{bake, base, bill, image_reader, payload, project};

/// Why nodes cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The description, or the secrets beside it.
    #[error(transparent)]
    Project(#[from] project::Error),
    /// The base image cannot be had.
    #[error(transparent)]
    Base(#[from] base::Error),
    /// A recipe cannot be applied.
    #[error(transparent)]
    Bake(#[from] bake::Error),
    /// There can be no bill of a card.
    #[error(transparent)]
    Bill(#[from] bill::Error),
    /// A path of a bill is none.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// It is not known what is installed on the base image.
    #[error("listing what is installed on {}", image.display())]
    Listing {
        /// The base image.
        image: PathBuf,
        /// Why.
        source: Unlisted,
    },
    /// What is preloaded cannot be had.
    #[error(transparent)]
    Payload(#[from] payload::Error),
    /// Nothing but what is locked was asked for, and there is no lock.
    #[error("there is no {}, and --locked accepts nothing else: run pibake update, which makes it", path.display())]
    NoLock {
        /// Where it would be.
        path: PathBuf,
    },
    /// The lock cannot be read.
    #[error("reading {}: {reason}; run pibake update to make it again", path.display())]
    ReadingLock {
        /// The lock.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The lock cannot be written.
    #[error("writing {}", path.display())]
    WritingLock {
        /// The lock.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What would be baked is not what is locked.
    #[error("{} has something else than would be baked: {}. Run pibake update, or leave --locked out", path.display(), named(changes))]
    Unlocked {
        /// The lock.
        path: PathBuf,
        /// What differs: before, what is locked; after, what would be baked.
        changes: Vec<Change>,
    },
    /// A folder was named that pibake vendor did not make.
    #[error("{} was not made by pibake vendor: it has no folder named files", dir.display())]
    NotVendored {
        /// The folder.
        dir: PathBuf,
    },
    /// There is nothing to lock.
    #[error(
        "nothing is preloaded, so there is nothing to update: set preload = true in [image], or add --preload"
    )]
    NothingToLock,
    /// What is described does not go with the image: it has the login's name in use, or does not start a board.
    #[error(transparent)]
    Unfit(#[from] Problem),
    /// A node was named that the cluster does not have.
    #[error("there is no node {asked}; {}", those_there(asked, names))]
    NoSuchNode {
        /// As it was named.
        asked: String,
        /// All that there are.
        names: Vec<String>,
    },
    /// Cards of workers alone were asked for, and the cluster that they would join is not here.
    #[error(
        "there is no {}, so there is no cluster yet that {} could join: run this in the cluster's folder, or put \
         .pibake back from a copy; for a new cluster build the control plane as well, or add --new-cluster",
        state.display(), listed(names)
    )]
    NoCluster {
        /// Where its secrets would be.
        state: PathBuf,
        /// The nodes that were asked for.
        names: Vec<String>,
    },
    /// A new cluster was asked for where there is one.
    #[error(
        "--new-cluster: there is a cluster in {} already: move that away first, and keep it as long as cards of it \
         are in use", state.display()
    )]
    ClusterExists {
        /// Where its secrets are.
        state: PathBuf,
    },
    /// A digest was given for the image that is built in.
    #[error("a digest (--sha256, base.sha256) does not go with the built-in sample: leave it out")]
    DigestOfSample,
    /// The image cannot be looked into, or says of itself what is not known.
    #[error("finding out what system {} holds", image.display())]
    Examining {
        /// The raw image.
        image: PathBuf,
        /// Why.
        source: Unexamined,
    },
    /// The image cannot be opened.
    #[error("opening the base image {}", image.display())]
    Open {
        /// The raw image.
        image: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image does not say what system it holds.
    #[error("{} has no os-release: set base.platform to the system that it holds", image.display())]
    NoOsRelease {
        /// The raw image.
        image: PathBuf,
    },
    /// What an image holds is asked, and it is not on this machine.
    #[error(
        "{image} is not in the cache, and what system it holds is known only when it is here: run pibake fetch, or \
         set base.platform"
    )]
    NotHere {
        /// The base image as it was named.
        image: String,
    },
    /// A card that was baked before cannot be read.
    #[error(transparent)]
    Card(image_reader::Error),
    /// There is neither a cache nor a folder to do without one.
    #[error("making a folder for the image's checksum")]
    Scratch(#[source] io::Error),
    /// A node was asked for that no recipe was made for: a fault in pibake.
    #[error("{node} has no recipe; please report this")]
    NoRecipe {
        /// The node.
        node: String,
    },
}

/// So many changes are named.
const NAMED: usize = 5;

fn named(changes: &[Change]) -> String {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
    let each = changes.iter().take(NAMED);
    let each =
        each.map(|c| format!("{} is {} instead of {}", c.what, or_nothing(&c.after), or_nothing(&c.before)));
    let mut text = each.collect::<Vec<_>>().join(", ");
    if changes.len() > NAMED {
        text += &format!(" and {} more", changes.len() - NAMED);
    }
    text
}

/// Why it is not known what an image holds.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Unexamined {
    /// It cannot be opened or read.
    ImageReader(#[from] image_reader::Error),
    /// It says of itself what nothing is known of.
    Unknown(#[from] UnknownPlatform),
    /// No path in it can have this name.
    Path(#[from] InvalidImagePath),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Project(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::Bake(error) => error.class(),
            Self::Payload(error) => error.class(),
            Self::Card(error) => error.class(),
            Self::NoLock { .. } | Self::ReadingLock { .. } | Self::NothingToLock => ErrorClass::Configuration,
            Self::NotVendored { .. } => ErrorClass::Usage,
            Self::WritingLock { source, .. } => ErrorClass::of_io(source),
            Self::Unlocked { .. } => ErrorClass::Verification,
            Self::Unfit(error) => error.class(),
            Self::NoSuchNode { .. }
            | Self::NoCluster { .. }
            | Self::DigestOfSample
            | Self::NotHere { .. } => ErrorClass::Usage,
            Self::ClusterExists { .. } => ErrorClass::Refused,
            Self::Examining { source, .. } => source.class(),
            Self::Bill(error) => error.class(),
            Self::Path(error) => error.class(),
            Self::Listing { source, .. } => source.class(),
            Self::NoOsRelease { .. } => ErrorClass::Configuration,
            Self::Open { source, .. } => ErrorClass::of_named(source),
            Self::Scratch(source) => ErrorClass::of_io(source),
            Self::NoRecipe { .. } => ErrorClass::Internal,
        }
    }
}

impl Classified for Unexamined {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ImageReader(error) => error.class(),
            Self::Unknown(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}

/// So many names are read at a glance.
const LISTED: usize = 8;

/// What to say to somebody who asked for a node that is none of `names`.
fn those_there(asked: &str, names: &[String]) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = asked.split([',', '-', ' ']).collect();
    if let [first, second, ..] = parts.as_slice()
        && parts.iter().all(|part| is_number(part))
    {
        let numbers = (first.parse::<u32>().ok(), second.parse::<u32>().ok());
        // 1-3 means three of them
        let meant: Vec<String> = match numbers {
            (Some(from), Some(to)) if parts.len() == 2 && asked.contains('-') && from < to => {
                (from..=to).take(LISTED).map(|n| n.to_string()).collect()
            }
            _ => parts.iter().take(LISTED).map(|part| (*part).to_owned()).collect(),
        };
        return format!("name each node by itself: --node {}", meant.join(" --node "));
    }
    let meant = nearest(asked, names.iter().map(String::as_str));
    let hint = meant.map_or_else(String::new, |name| format!("did you mean {name}? "));
    format!("{hint}the cluster has {}", listed(names))
}

/// Names of nodes, and of many the first and the last.
fn listed(names: &[String]) -> String {
    match names {
        [first, second, .., last] if names.len() > LISTED => {
            format!("{} nodes, {first}, {second}, … {last}", names.len())
        }
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_no_node_is_told_what_is_there_in_one_line() {
        let names: Vec<String> = (1..=100).map(|n| format!("node-{n}")).collect();
        let all = "the cluster has 100 nodes, node-1, node-2, … node-100";
        for (asked, said) in [
            ("1-3", "name each node by itself: --node 1 --node 2 --node 3"),
            ("1,2,4", "name each node by itself: --node 1 --node 2 --node 4"),
            ("3-1", "name each node by itself: --node 3 --node 1"),
            ("101", all),
            ("node-0", all),
            ("nod-7", &format!("did you mean node-7? {all}")),
            ("Node7", &format!("did you mean node-7? {all}")),
            ("x-y", all),
        ] {
            assert_eq!(those_there(asked, &names), said, "{asked}");
        }
    }
}
