//! The user's own files that go into recipes, read once for all nodes.

use std::io;
use std::path::{Path, PathBuf};

use super::apt::{KeyError, read_key};
use super::manifests::{self, Manifest, ManifestError};
use super::overlays::{OverlayError, Overlays};
use super::user_data::CloudConfig;
use super::wifi_files::{self, WifiFile, WifiFileError};
use crate::cluster::{AptSource, Cluster};
use crate::error::{Classified, ErrorClass};
use crate::identity::Snapshot;
use crate::io::read_small;

/// What a recipe is made of besides the cluster and its identity.
#[derive(Debug, Clone)]
pub struct Extras {
    /// The files that land.
    pub overlays: Overlays,
    /// The user's cloud-init settings.
    pub user_data: Option<CloudConfig>,
    /// The key of the repository with containerd, where the user gave a file; see [`read_key`].
    pub docker_key: Option<String>,
    /// The key of the repository with Kubernetes, likewise.
    pub kubernetes_key: Option<String>,
    /// What joins radio networks besides names and passwords.
    pub wifi_files: Vec<WifiFile>,
    /// The user's manifests, which node-1 applies once.
    pub manifests: Vec<Manifest>,
    /// The copy of etcd that the control plane's card begins with, where it is not an empty database.
    pub snapshot: Option<Snapshot>,
}

/// Why the user's own files cannot go into recipes.
#[derive(Debug, thiserror::Error)]
pub enum ExtrasError {
    /// The overlays.
    #[error(transparent)]
    Overlays(#[from] OverlayError),
    /// The user's manifests.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// A file cannot be read.
    #[error("reading {}, which {key} names", path.display())]
    Read {
        /// The key of pibake.toml that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that must be text is not.
    #[error("{}:{line}: it is not UTF-8, as {key} must be; save it as UTF-8, and uncompressed", path.display())]
    Encoding {
        /// The key of pibake.toml that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The first line at fault, from 1.
        line: usize,
    },
    /// What joins radio networks.
    #[error(transparent)]
    WifiFiles(#[from] WifiFileError),
    /// A key of an apt repository is not the one that it should be.
    #[error("{}, which {key} names, cannot be trusted: {source}", path.display())]
    Key {
        /// The key of pibake.toml that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

impl Classified for ExtrasError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Overlays(error) => error.class(),
            Self::Manifests(error) => error.class(),
            Self::WifiFiles(error) => error.class(),
            Self::Key { source, .. } => source.class(),
            Self::Read { .. } | Self::Encoding { .. } => ErrorClass::Configuration,
        }
    }
}

impl Default for Extras {
    /// Nothing of the user's.
    fn default() -> Self {
        Self {
            overlays: Overlays::built_in(),
            user_data: None,
            docker_key: None,
            kubernetes_key: None,
            wifi_files: Vec::new(),
            manifests: Vec::new(),
            snapshot: None,
        }
    }
}

impl Extras {
    /// Reads what the description names.
    pub fn load(cluster: &Cluster) -> Result<Self, ExtrasError> {
        let overlays = match &cluster.overlays {
            Some(dir) => Overlays::with_dir(dir)?,
            None => Overlays::built_in(),
        };
        let extra = cluster.cloud_init_extra.as_deref();
        let user_data = extra.map(cloud_config).transpose()?;
        let sources = &cluster.sources;
        Ok(Self {
            overlays,
            user_data,
            docker_key: apt_key("sources.docker.key-file", &sources.docker)?,
            kubernetes_key: apt_key("sources.kubernetes.key-file", &sources.kubernetes)?,
            wifi_files: wifi_files::load(cluster)?,
            manifests: manifests::load(cluster)?,
            snapshot: None,
        })
    }
}

/// An archive's keys take some ten kilobytes, and a cloud-config must fit the boot partition.
const EXTRA_MAX: u64 = 1 << 20;

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ExtrasError> {
    read_small(path, EXTRA_MAX).map_err(|source| ExtrasError::Read { key, path: path.to_owned(), source })
}

fn cloud_config(path: &Path) -> Result<CloudConfig, ExtrasError> {
    const KEY: &str = "cloud-init.extra";
    let text = String::from_utf8(read(KEY, path)?).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + sound.iter().filter(|byte| **byte == b'\n').count();
        ExtrasError::Encoding { key: KEY, path: path.to_owned(), line }
    })?;
    Ok(CloudConfig { file: path.to_owned(), text })
}

fn apt_key(key: &'static str, source: &AptSource) -> Result<Option<String>, ExtrasError> {
    let Some(path) = &source.key_file else { return Ok(None) };
    read_key(&read(key, path)?, source.fingerprint).map(Some).map_err(|source| ExtrasError::Key {
        key,
        path: path.clone(),
        source,
    })
}
