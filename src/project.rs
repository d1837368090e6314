//! A description with its secrets beside it: what every command that makes cards starts from.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cluster::platform::UnknownPlatform;
use crate::cluster::{self, Cluster, Node, Overrides, Platform};
use crate::identity::{self, Identity, Store};
use crate::io::Waiting;
use crate::recipe::{self, Extras, ExtrasError, Recipe};

/// The description's name, where none is given.
pub const FILE: &str = "pibake.toml";
/// The directory with the secrets, beside the description.
pub const STATE: &str = ".pibake";

/// A description with its secrets beside it.
#[derive(Debug)]
pub struct Project {
    /// What is asked.
    pub cluster: Cluster,
    /// The description's file, where there is one.
    pub file: Option<PathBuf>,
    store: Store,
    clock: i64,
    build_time: i64,
}

/// Why a project cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A description was named that is not there.
    #[error("{} is not there: write one with pibake init, or leave -C/--config out", path.display())]
    NoConfig {
        /// As it was named.
        path: PathBuf,
    },
    /// The description is not one that can be built.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The secrets cannot be made or used.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// Nothing is known of the image's system.
    #[error(transparent)]
    Platform(#[from] UnknownPlatform),
    /// The user's own files cannot be used.
    #[error(transparent)]
    Extras(#[from] ExtrasError),
    /// A recipe cannot be made.
    #[error(transparent)]
    Recipe(#[from] recipe::Error),
    /// `SOURCE_DATE_EPOCH` is set and is no time.
    #[error("SOURCE_DATE_EPOCH must be a number of seconds since 1970; it is {0:?}")]
    Epoch(String),
    /// The machine's clock says a time before 1970.
    #[error("this machine's clock says that it is before 1970: set it right")]
    Clock,
}

impl Project {
    /// Opens the description in `config` or, where none is given, `./pibake.toml`; where that is
    /// not there either, all defaults hold. Makes no secrets yet.
    pub fn open(config: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let file = match config {
            Some(path) if !path.exists() => return Err(Error::NoConfig { path: path.to_owned() }),
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from(FILE)).filter(|path| path.exists()),
        };
        let cluster = Cluster::read(file.as_deref(), overrides)?;
        let dir = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let clock = clock()?;
        let build_time = source_date_epoch()?.unwrap_or(clock);
        Ok(Self { cluster, store: Store::new(dir.join(STATE)), clock, build_time, file })
    }

    /// Says where a wait for another pibake that makes or changes the secrets is told, and what ends it.
    pub fn waiting(mut self, waiting: Waiting) -> Self {
        self.store.set_waiting(waiting);
        self
    }

    /// The secrets, made once where there are none yet. Certificates begin at the clock's time and
    /// never at `SOURCE_DATE_EPOCH`: keys are random anyhow, and those of 1970 would have expired.
    pub fn identity(&self) -> Result<Identity, Error> {
        Ok(self.store.open(&self.cluster, self.clock)?)
    }

    /// The secrets, if there are some already; makes nothing.
    pub fn existing_identity(&self) -> Result<Option<Identity>, Error> {
        Ok(self.store.peek(&self.cluster, self.clock)?)
    }

    /// The platform of an image with this `/etc/os-release`, or the one that the description says
    /// to take it for.
    pub fn platform(&self, os_release: &str) -> Result<Platform, Error> {
        let stated = self.cluster.base.platform.as_deref().and_then(Platform::named);
        stated.map_or_else(|| Ok(Platform::from_os_release(os_release)?), Ok)
    }

    /// What is to change on each node's card, over an image of `platform`; makes the secrets
    /// where there are none yet.
    pub fn recipes(&self, platform: &Platform) -> Result<Vec<Recipe>, Error> {
        let extras = Extras::load(&self.cluster)?;
        // A description that cannot be built is refused before anything is made.
        self.cluster.software(platform).map_err(recipe::Error::from)?;
        let identity = self.identity()?;
        let of = |node| Ok(recipe::recipe(&self.cluster, &identity, node, platform, &extras)?);
        self.cluster.nodes.iter().map(of).collect()
    }

    /// What is to change on one node's card, with every secret masked; makes nothing.
    pub fn preview(&self, node: &Node, platform: &Platform) -> Result<Recipe, Error> {
        let extras = Extras::load(&self.cluster)?;
        let identity = self.existing_identity()?;
        Ok(recipe::preview(&self.cluster, identity.as_ref(), node, platform, &extras)?)
    }

    /// Where the secrets are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The time that goes into what is built, in seconds since 1970: `SOURCE_DATE_EPOCH`
    /// (reproducible-builds.org/specs/source-date-epoch) or else the clock.
    pub fn build_time(&self) -> i64 {
        self.build_time
    }
}

fn source_date_epoch() -> Result<Option<i64>, Error> {
    match std::env::var_os("SOURCE_DATE_EPOCH").map(|v| v.to_string_lossy().into_owned()) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(seconds @ 0..) => Ok(Some(seconds)),
            _ => Err(Error::Epoch(text)),
        },
    }
}

fn clock() -> Result<i64, Error> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Error::Clock)?;
    i64::try_from(since.as_secs()).map_err(|_| Error::Clock)
}
