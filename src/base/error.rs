//! What can go wrong between a base image's name and its bytes.

use std::io;
use std::path::{Path, PathBuf};

use super::{DecodeError, Digest, InvalidSpec, InvalidSums, SignatureError};
use crate::error::{Classified, ErrorClass};
use crate::http;
use crate::io::{Cancelled, LockError, human_bytes};

/// The result of work on base images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no base image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text given names no image.
    #[error(transparent)]
    Spec(#[from] InvalidSpec),

    /// Something about files on this machine.
    #[error("{doing}")]
    Io {
        /// What was being done, as a gerund phrase.
        doing: String,
        /// What the system said.
        source: io::Error,
    },

    /// The file that was named as the base cannot be opened.
    #[error("opening the base image {}", path.display())]
    Named {
        /// As it was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The lock of an image in the cache cannot be used.
    #[error(transparent)]
    Lock(LockError),

    /// Others can write to what is in the cache.
    #[error(
        "{} can be written to by others (mode {mode:04o}), who could put an image of their own there: run chmod -R go-w {}, or remove it and fetch again; where its file system keeps no modes, set XDG_CACHE_HOME to a folder elsewhere",
        path.display(), cache.display()
    )]
    Writable {
        /// The folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The cache.
        cache: PathBuf,
    },

    /// What is in the cache belongs to another user.
    #[error(
        "{} belongs to another user (uid {owner}), who could put an image of their own there: run chown -R {user} {}, or set XDG_CACHE_HOME to a folder of your own",
        path.display(), cache.display()
    )]
    NotOurs {
        /// The folder or file.
        path: PathBuf,
        /// Numeric owner.
        owner: u32,
        /// Who should own it.
        user: u32,
        /// The cache.
        cache: PathBuf,
    },

    /// A path that is no regular file.
    #[error("the base image {path} is {what}: give a file such as an .img or .img.xz")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },

    /// The network, or the disk that what comes from it is put on.
    #[error(transparent)]
    Http(http::Error),

    /// Neither `XDG_CACHE_HOME` nor `HOME` says where a cache may be.
    #[error("cannot determine the cache directory: set XDG_CACHE_HOME or HOME to an absolute path")]
    NoCacheDir,

    /// A mirror that is no web address.
    #[error(
        "the mirror {given:?} is not usable: {reason}; give the address that stands for {}",
        crate::catalog::RELEASES
    )]
    Mirror {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The server does not have a release.
    #[error(
        "{server} does not have {release}: there is no {url}; {there}. Give another release with --base, or set base.mirror to a mirror that has this one"
    )]
    NoRelease {
        /// The release.
        release: String,
        /// Whose server it is.
        server: String,
        /// The image's address.
        url: String,
        /// What is there instead.
        there: String,
    },

    /// A list of digests that is none.
    #[error("reading {url}")]
    Sums {
        /// Where the list is from.
        url: String,
        /// What is wrong with it.
        source: InvalidSums,
    },

    /// Nothing vouches for an address.
    #[error(
        "nothing vouches for {url}: {reason}; give its --sha256, or accept it as it comes with --insecure-base"
    )]
    Untrusted {
        /// The image.
        url: String,
        /// What was looked for.
        reason: String,
    },

    /// A signature that does not hold.
    #[error("checking the signature of {url}")]
    Signature {
        /// The signed list.
        url: String,
        /// Why it does not hold.
        source: SignatureError,
    },

    /// A keyring that cannot be used.
    #[error("reading the keyring {}", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SignatureError,
    },

    /// A list of digests that does not name the image.
    #[error(
        "{sums} does not list {file}{}: correct the address, or give its --sha256 to do without the list",
        if listed.is_empty() { String::new() } else { format!(" but {}", listed.join(", ")) }
    )]
    NotListed {
        /// The list.
        sums: String,
        /// The image's file name.
        file: String,
        /// Names of images that it lists.
        listed: Vec<String>,
    },

    /// A list of digests without an image for Pis.
    #[error(
        "{list} lists no image of Ubuntu {series} for Raspberry Pis (arm64 server){}: give another release with --base",
        if listed.is_empty() { String::new() } else { format!(", but {}", listed.join(", ")) }
    )]
    NoPiImage {
        /// The series.
        series: String,
        /// The list.
        list: String,
        /// Names of images that it lists.
        listed: Vec<String>,
    },

    /// A digest was given that none of the images of a series has.
    #[error(
        "no image of Ubuntu {series} that {list} lists has the SHA-256 {digest}: name the point release that it is \
         of with --base, such as {series}.1"
    )]
    OtherDigest {
        /// The series.
        series: String,
        /// The list.
        list: String,
        /// What was given.
        digest: Digest,
    },

    /// The image is not the one that was meant.
    #[error(
        "{name} is not what it should be: its SHA-256 is {actual}, expected {expected}; nothing of it was kept. Download it again, or check where that digest is from"
    )]
    WrongDigest {
        /// The image.
        name: String,
        /// The digest that was promised.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },

    /// The image cannot be decompressed.
    #[error("decompressing {name}")]
    Decode {
        /// The image.
        name: String,
        /// What is wrong with it.
        source: DecodeError,
    },

    /// Not in the cache, and the network may not be used.
    #[error("{name} is not in the cache {} and --offline forbids to fetch it: run once without, or give a file", dir.display())]
    Offline {
        /// The image.
        name: String,
        /// The cache.
        dir: PathBuf,
    },

    /// The lock does not say what a name stands for.
    #[error("pibake.lock does not have {name}: run pibake update, or leave --locked out")]
    NotLocked {
        /// The name.
        name: String,
    },

    /// A name stands for something else than the lock says.
    #[error(
        "{name} is another one than in pibake.lock (sha256:{found} instead of {locked}), and the locked one is not in the \
         cache: run pibake update, or build from a folder that pibake vendor made then"
    )]
    Moved {
        /// The name.
        name: String,
        /// What it must stand for.
        locked: Digest,
        /// What it stands for now.
        found: Digest,
    },

    /// A local file was written to while it was used.
    #[error("{} changed while it was used: nothing made from it can be relied on; try again when nobody writes to it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },

    /// The one who asked wants it no more.
    #[error("cancelled")]
    Cancelled,

    /// The one who asked wants it no more, and a part of the download is kept.
    #[error("cancelled; {} of the download are kept, and the next run resumes it", human_bytes(*kept))]
    CancelledDownload {
        /// How many bytes are kept.
        kept: u64,
    },

    /// What was told of the image while it was decoded could not take it.
    #[error("writing what was decoded")]
    Observer(#[source] io::Error),

    /// A thread of the pipeline ended without a result: a fault in pibake.
    #[error("decompressing {name}: a worker thread ended without a result; please report this")]
    Worker {
        /// The image.
        name: String,
    },
}

impl From<Cancelled> for Error {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Spec(error) => error.class(),
            Self::NotAFile { .. } | Self::NoCacheDir | Self::Mirror { .. } | Self::Keyring { .. } => {
                ErrorClass::Usage
            }
            Self::Named { source, .. } => ErrorClass::of_named(source),
            Self::Io { source, .. } | Self::Observer(source) => ErrorClass::of_io(source),
            Self::Lock(error) => error.class(),
            Self::Writable { .. } | Self::NotOurs { .. } => ErrorClass::Refused,
            Self::Decode { source, .. } => source.class(),
            Self::Http(error) => error.class(),
            Self::Sums { .. }
            | Self::Untrusted { .. }
            | Self::Signature { .. }
            | Self::NotListed { .. }
            | Self::NoPiImage { .. }
            | Self::OtherDigest { .. }
            | Self::WrongDigest { .. }
            | Self::Moved { .. }
            | Self::Changed { .. } => ErrorClass::Verification,
            Self::NotLocked { .. } => ErrorClass::Configuration,
            Self::NoRelease { .. } | Self::Offline { .. } => ErrorClass::Network,
            Self::Cancelled | Self::CancelledDownload { .. } => ErrorClass::Cancelled,
            Self::Worker { .. } => ErrorClass::Internal,
        }
    }
}

impl Error {
    /// Wraps an I/O error with what was being done to `path`.
    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing: format!("{doing} {}", path.display()), source }
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Cancelled => Self::Cancelled,
            other => Self::Http(other),
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cancelled { .. } => Self::Cancelled,
            other => Self::Lock(other),
        }
    }
}
