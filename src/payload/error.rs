//! Why there is no payload.

use std::io;
use std::path::PathBuf;

use crate::apt::{self, PinError, ResolveError, SourcesError, StatusError};
use crate::base::{self, SignatureError};
use crate::cluster::Role;
use crate::error::{Classified, ErrorClass};
use crate::image_path::InvalidImagePath;
use crate::image_reader;
use crate::oci;
use crate::recipe::KeyError;
use crate::registry::InvalidReference;

/// The result of work on a payload.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no payload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Repositories, or packages of them.
    #[error(transparent)]
    Apt(#[from] apt::Error),
    /// Container images.
    #[error(transparent)]
    Oci(#[from] oci::Error),
    /// The network or the cache.
    #[error(transparent)]
    Base(#[from] base::Error),
    /// The base cannot be looked into.
    #[error("looking into the base image")]
    ImageReader(#[from] image_reader::Error),
    /// A path that no image can hold.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// An image's name is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// A list of sources on the node that apt could not read.
    #[error("reading {list} of the base image or the overlays")]
    List {
        /// Its path on the node.
        list: String,
        /// Why.
        source: SourcesError,
    },
    /// A source that is not fetched from.
    #[error(
        "{list} names {uri} as a source of packages, and only http and https are fetched from, and suites or whole folders; \
         set sources.ubuntu to a mirror, or remove the source from the base image"
    )]
    Uri {
        /// As the list has it.
        uri: String,
        /// The list's path on the node.
        list: String,
    },
    /// Preferences that apt could not read.
    #[error("reading {path} of the base image or the overlays")]
    Pins {
        /// Its path on the node.
        path: String,
        /// Why.
        source: PinError,
    },
    /// The base has no list of packages.
    #[error(
        "the base image has no /var/lib/dpkg/status, so it is not known what packages it lacks; use an image of Ubuntu"
    )]
    NoStatus,
    /// The base's list of packages cannot be used.
    #[error("reading /var/lib/dpkg/status of the base image")]
    Status(#[source] StatusError),
    /// The packages cannot be installed together.
    #[error("choosing the packages of a {role}")]
    Resolve {
        /// Whose packages.
        role: Role,
        /// Why not.
        source: ResolveError,
    },
    /// The version of kubeadm says nothing of the images that it asks for.
    #[error(
        "the package kubeadm has the version {version:?}, which is not a release of the Kubernetes that is asked for; \
         set kubernetes.version, or take another repository"
    )]
    Kubeadm {
        /// The package's version.
        version: String,
    },
    /// kubeadm asks for other images than what is known of it says.
    #[error(
        "kubeadm {version} does not ask for {image}, as the releases before it do: this version of pibake does not know it \
         yet; set kubernetes.version to an earlier release"
    )]
    Unknown {
        /// The package's version.
        version: String,
        /// The image that it was taken to ask for.
        image: String,
    },
    /// Nothing says who signs a repository.
    #[error("{list} lets {uri} be unsigned (trusted=yes): name its key with signed-by")]
    Unsigned {
        /// The repository.
        uri: String,
        /// The list's path on the node.
        list: String,
    },
    /// There is no key for a repository.
    #[error(
        "there is no key on the base image or in the overlays that {uri}, which {list} names, may be signed with"
    )]
    NoKey {
        /// The repository.
        uri: String,
        /// The list's path on the node.
        list: String,
    },
    /// A file of keys that cannot be used.
    #[error("reading the keys in {path} of the base image or the overlays")]
    Keyring {
        /// Its path on the node.
        path: String,
        /// Why.
        source: SignatureError,
    },
    /// A key is not where it should be.
    #[error("there is no key at {url}; check key-url in [sources], or name a file as key-file")]
    KeyGone {
        /// The address.
        url: String,
    },
    /// A key is not the one that is trusted.
    #[error("checking the key at {url}")]
    Key {
        /// The address.
        url: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The cache cannot be read.
    #[error("reading {}", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Whether something is not in the cache, and the network may not be used.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        let base = match self {
            Self::Base(error) | Self::Apt(apt::Error::Fetch(error)) | Self::Oci(oci::Error::Base(error)) => {
                error
            }
            _ => return false,
        };
        matches!(base, base::Error::Offline { .. })
    }
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Apt(error) => error.class(),
            Self::Oci(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::ImageReader(error) => error.class(),
            Self::Path(error) => error.class(),
            Self::Reference(error) => error.class(),
            Self::List { source, .. } => source.class(),
            Self::Pins { source, .. } => source.class(),
            Self::Status(source) => source.class(),
            Self::Resolve { source, .. } => source.class(),
            Self::Keyring { source, .. } => source.class(),
            Self::Key { .. } => ErrorClass::Verification,
            Self::Uri { .. }
            | Self::NoStatus
            | Self::Kubeadm { .. }
            | Self::Unknown { .. }
            | Self::Unsigned { .. }
            | Self::NoKey { .. } => ErrorClass::Configuration,
            Self::KeyGone { .. } => ErrorClass::Network,
            Self::Cache { source, .. } => ErrorClass::of_io(source),
        }
    }
}
