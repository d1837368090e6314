//! The flags that say how a base image is got and what is believed of it, and getting it by them.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;

use super::exit::Usage;
use crate::base::{self, Base, Cache, Digest, ImageObserver, Options, Patience, Spec};
use crate::error::{Doing, Failure};
use crate::opened::Opened;
use crate::project::Project;
use crate::ui::Ui;

/// Shared by every command that needs a base image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Getting the base image")]
pub struct BaseFlags {
    /// The SHA-256 of the base image's file as it was published; trusted instead of a SHA256SUMS
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Digest>,
    /// Accept a base image from the network that nothing vouches for
    #[arg(long)]
    insecure_base: bool,
    /// The most GiB that the base image may unpack to; without it what its release or its packed size
    /// makes likely
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..=65536))]
    max_base_size: Option<u64>,
    /// How many times in a row a request is tried without one byte of progress
    #[arg(long, value_name = "N", default_value = "6")]
    network_tries: NonZeroU32,
    /// How long a server may stay silent
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    network_timeout: u64,
}

/// A base image that was asked for and how it is to be got; nothing has been touched yet but the
/// cache's folder.
#[derive(Debug)]
pub struct Wanted {
    spec: Spec,
    options: Options,
    cache: Cache,
    _scratch: Option<TempDir>,
}

/// The cache and, where none can be had and an image in place needs nothing of it but a note of its
/// checksum, an empty one for this run: build sandboxes have no home.
fn cache_for(spec: &Spec) -> Result<(Cache, Option<TempDir>), Failure> {
    let fault = match Cache::default_dir().and_then(|dir| Cache::open(&dir)) {
        Ok(cache) => return Ok((cache, None)),
        Err(fault) => fault,
    };
    if !matches!(spec, Spec::Path(path) if Opened::open(path).is_ok()) {
        return Err(fault.into());
    }
    tracing::info!("the image is used in place without a cache: {fault}");
    let scratch = tempfile::tempdir().doing(|| "making a folder for the image's checksum".to_owned())?;
    Ok((Cache::open(scratch.path())?, Some(scratch)))
}

impl BaseFlags {
    /// The base image of `project`, got as its description and these flags have it. `offline`: from
    /// the cache or this machine's files alone.
    pub fn wanted(&self, project: &Project, offline: bool) -> Result<Wanted, Failure> {
        let mut wanted = Wanted::here(project)?;
        let options = &mut wanted.options;
        options.sha256 = self.sha256.or(options.sha256);
        if options.sha256.is_some() && wanted.spec == Spec::Sample {
            return Err(Usage("--sha256 does not go with the built-in sample".to_owned()).into());
        }
        options.insecure = self.insecure_base;
        options.max_raw_len = self.max_base_size.map(|gib| gib << 30);
        options.offline = offline;
        options.patience = Patience {
            attempts: self.network_tries.get(),
            stall: Duration::from_secs(self.network_timeout),
            ..Patience::default()
        };
        Ok(wanted)
    }
}

impl Wanted {
    /// The base image of `project` as its description has it, from the cache or this machine's
    /// files alone.
    pub fn here(project: &Project) -> Result<Self, Failure> {
        let base = &project.cluster.base;
        let spec = Spec::parse(&base.image)?;
        let described = |text: &String| text.parse().map_err(|e| Usage(format!("base.sha256: {e}")));
        let options = Options {
            mirror: base.mirror.clone(),
            sha256: base.sha256.as_ref().map(described).transpose()?,
            offline: true,
            keyring: base.keyring.clone(),
            ..Options::default()
        };
        let (cache, scratch) = cache_for(&spec)?;
        Ok(Self { spec, options, cache, _scratch: scratch })
    }

    /// A cached image is read in full and compared with its checksum, instead of only its size and time.
    pub fn thoroughly(mut self) -> Self {
        self.options.thorough = true;
        self
    }

    /// Ends with an error soon after `cancel` became true.
    pub fn until(mut self, cancel: &Arc<AtomicBool>) -> Self {
        self.options.cancel = Arc::clone(cancel);
        self
    }

    /// The file of this machine that was asked for, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.spec {
            Spec::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Where it will lie, unless it is used in place.
    pub fn cache_dir(&self) -> &Path {
        self.cache.dir()
    }

    /// Gets it: from the cache, from where it lies, or from the network. `observer` writes it elsewhere while it is decoded.
    pub fn obtain(&self, ui: &Ui, observer: Option<&mut dyn ImageObserver>) -> Result<Base, base::Error> {
        self.cache.obtain(&self.spec, &self.options, ui.progress(), observer)
    }
}
