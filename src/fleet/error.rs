//! What can go wrong between a fleet in a registry and the cards of its nodes.

use std::io;
use std::path::{Path, PathBuf};

use super::name::InvalidName;
use super::sealed::InvalidKey;
use super::signature::InvalidSignature;
use crate::base;
use crate::error::{Cause, Classified, ErrorClass};
use crate::io::human_bytes;
use crate::oci;

/// The result of work on a fleet.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a fleet cannot be put into a registry, or used from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),

    /// A registry, its server, or the network.
    #[error(transparent)]
    Registry(#[from] oci::Error),

    /// A download, the cache, or the disk.
    #[error(transparent)]
    Base(#[from] base::Error),

    /// Something about files on this machine.
    #[error("{doing}")]
    Io {
        /// What was being done, as a gerund phrase.
        doing: String,
        /// What the system said.
        source: io::Error,
    },

    /// A node could not be baked.
    #[error("baking {node}")]
    Bake {
        /// The node.
        node: String,
        /// Why not.
        source: Cause,
    },

    /// There is nothing under this name.
    #[error("{fleet} does not exist: check its name and tag; pibake push puts a cluster there")]
    Missing {
        /// The fleet.
        fleet: String,
    },

    /// Without the network, and never seen before.
    #[error("{fleet} was not used on this machine before, so it cannot be used without the network")]
    Unseen {
        /// The fleet.
        fleet: String,
    },

    /// What is under the name is not what pibake puts there.
    #[error("{fleet} is not a fleet of pibake's: {fault}; nothing was written")]
    NoFleet {
        /// The fleet.
        fleet: String,
        /// What is wrong with it.
        fault: String,
    },

    /// A part that is not as it must be.
    #[error(
        "{what} of {fleet} is damaged: {fault}; have it removed at the registry, which keeps what it has, and the fleet pushed again"
    )]
    Damaged {
        /// The fleet.
        fleet: String,
        /// Which part.
        what: String,
        /// What is wrong with it.
        fault: String,
    },

    /// Nobody says that the index is right.
    #[error(
        "the index of {fleet} (sha256:{digest}) has no signature in the registry: whoever pushed it was interrupted, or somebody else put it there; have the cluster pushed again"
    )]
    Unsigned {
        /// The fleet.
        fleet: String,
        /// The index.
        digest: String,
    },

    /// No key is trusted here.
    #[error(
        "no key is trusted here that {fleet} could be signed by: get the public key from whoever pushes it, and run pibake key --trust KEY, or give it by --trust"
    )]
    NoKeys {
        /// The fleet.
        fleet: String,
    },

    /// The index was signed by somebody else.
    #[error(
        "the index of {fleet} is not signed by a key that is trusted here: its signature says {claimed}, trusted are {trusted}; it may have been changed in the registry. If the key is right, run pibake key --trust KEY with the whole key, as its owner says it"
    )]
    Untrusted {
        /// The fleet.
        fleet: String,
        /// Whose key it says it is.
        claimed: String,
        /// Which keys are trusted.
        trusted: String,
    },

    /// The signature itself cannot be read.
    #[error("reading the signature of {fleet}")]
    Signature {
        /// The fleet.
        fleet: String,
        /// What is wrong with it.
        source: InvalidSignature,
    },

    /// An older index than one that was seen before.
    #[error(
        "{fleet} has number {found} of the cluster {cluster:?} now, and number {seen} was seen on this machine before: the registry gives an older one, or it was put back there; nothing was written. If that is meant, push the cluster again"
    )]
    Older {
        /// The fleet.
        fleet: String,
        /// The cluster.
        cluster: String,
        /// What the registry has.
        found: u64,
        /// What was seen.
        seen: u64,
    },

    /// Another index with the same number.
    #[error(
        "{fleet} has another number {found} of the cluster {cluster:?} than the one seen on this machine before: two machines may have pushed at once; have the cluster pushed again"
    )]
    Other {
        /// The fleet.
        fleet: String,
        /// The cluster.
        cluster: String,
        /// The number of both.
        found: u64,
    },

    /// A name that stood for another cluster before.
    #[error(
        "{fleet} is the cluster {cluster:?} now, and another one, {seen:?}, was seen under this name on this machine before: the registry gives one for the other, or somebody put it there; nothing was written. If that is meant, remove {}",
        note.display()
    )]
    AnotherCluster {
        /// The fleet.
        fleet: String,
        /// The cluster that is there.
        cluster: String,
        /// The one that was seen.
        seen: String,
        /// Where that is noted.
        note: PathBuf,
    },

    /// A cluster that somebody else signed before.
    #[error(
        "{fleet} is the cluster {cluster:?}, signed by {found}, and this cluster was signed by {seen} before, which is trusted here, too; nothing was written. If its owner has another key now, take the line of the old one out of the keys that are trusted here; if it never was the old one's, remove {}",
        note.display()
    )]
    AnotherKey {
        /// The fleet.
        fleet: String,
        /// The cluster.
        cluster: String,
        /// Who signed what is there.
        found: String,
        /// Who signed what was seen.
        seen: String,
        /// Where that is noted.
        note: Box<Path>,
    },

    /// Somebody else pushed meanwhile.
    #[error(
        "{fleet} was changed while this push was at work, and stands for what somebody else put there: nothing of it was touched. Look at it by pibake inspect {fleet}, and push again"
    )]
    Moved {
        /// The fleet.
        fleet: String,
    },

    /// Nothing comes after the highest number that there is.
    #[error("{fleet} has the highest number that there is: push to another tag")]
    NoNumber {
        /// The fleet.
        fleet: String,
    },

    /// The number of a push could not be written down.
    #[error("noting the number of the push in .pibake")]
    Number(#[source] Cause),

    /// More than is taken for one node.
    #[error(
        "{node} has {what} of {}, and no station takes more than {}; what is large is preloaded for all nodes of a role",
        human_bytes(*bytes), human_bytes(*limit)
    )]
    TooLarge {
        /// The node.
        node: String,
        /// What of it: changes, a bill.
        what: &'static str,
        /// How large it is.
        bytes: u64,
        /// What is taken.
        limit: u64,
    },

    /// Another cluster is there.
    #[error("{fleet} is the cluster {cluster:?} of another .pibake, and stays: choose another name or tag")]
    Occupied {
        /// The fleet.
        fleet: String,
        /// The cluster that is there.
        cluster: String,
    },

    /// This cluster is there, as somebody else has it.
    #[error(
        "{fleet} is this cluster, and is not signed by the key in .pibake ({key}): somebody may have changed it in the registry. Nothing was pushed; push to another tag, or delete this one at the registry first"
    )]
    NotOurs {
        /// The fleet.
        fleet: String,
        /// What the key in `.pibake` is called.
        key: String,
    },

    /// Nobody could read what is pushed.
    #[error(
        "nobody is named who may make cards of it: give --recipient with the public key of each machine that may (pibake key shows it there)"
    )]
    NoRecipients,

    /// A file of recipients, or a key.
    #[error("{place}: {source}")]
    Recipients {
        /// The file and the line, or the flag.
        place: String,
        /// What is wrong with it.
        source: InvalidKey,
    },

    /// There is no such node.
    #[error("{fleet} has no node {asked}; it has {}", names.join(", "))]
    NoNode {
        /// The fleet.
        fleet: String,
        /// What was asked for.
        asked: String,
        /// The nodes that there are.
        names: Vec<String>,
    },

    /// It was encrypted for others.
    #[error(
        "{node} of {fleet} is not encrypted for this machine, whose public key is {key}: have the cluster pushed again with --recipient {key}"
    )]
    NotForUs {
        /// The node.
        node: String,
        /// The fleet.
        fleet: String,
        /// This machine's public key.
        key: String,
    },

    /// This machine has no key.
    #[error(
        "this machine has no key yet, so nothing is encrypted for it: run pibake key, and have the cluster pushed again with what it prints as --recipient"
    )]
    NoStationKey,

    /// A file of keys that cannot be used.
    #[error("{}: {fault}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        fault: String,
    },

    /// A fault in pibake.
    #[error("writing {what} of a fleet; please report this")]
    Document {
        /// Which document.
        what: &'static str,
        /// What the writer says.
        source: serde_json::Error,
    },

    /// The system gives no random bytes.
    #[error("making a key")]
    Random(#[from] getrandom::Error),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Name(error) => error.class(),
            Self::Registry(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::Bake { source, .. } | Self::Number(source) => source.class(),
            Self::Missing { .. } | Self::Unseen { .. } => ErrorClass::Network,
            Self::NoFleet { .. }
            | Self::Damaged { .. }
            | Self::Unsigned { .. }
            | Self::Untrusted { .. }
            | Self::Older { .. }
            | Self::Other { .. }
            | Self::AnotherCluster { .. }
            | Self::AnotherKey { .. }
            | Self::NotOurs { .. }
            | Self::NoNumber { .. } => ErrorClass::Verification,
            Self::Signature { source, .. } => source.class(),
            Self::Occupied { .. } | Self::Moved { .. } => ErrorClass::Refused,
            Self::TooLarge { .. } => ErrorClass::Configuration,
            Self::NoKeys { .. }
            | Self::NoRecipients
            | Self::NoNode { .. }
            | Self::NotForUs { .. }
            | Self::NoStationKey
            | Self::Recipients { .. } => ErrorClass::Usage,
            Self::KeyFile { .. } => ErrorClass::Configuration,
            Self::Document { .. } | Self::Random(_) => ErrorClass::Internal,
        }
    }
}

impl Error {
    /// Wraps an I/O error with what was being done.
    pub(super) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }
}
