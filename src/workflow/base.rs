//! The base image as it was asked for, and how it is got.

use std::path::Path;

use tempfile::TempDir;

use super::{Control, Error};
use crate::base::{Base, Cache, Fetcher, ImageObserver, Options, Patience};
use crate::catalog::{Digest, Spec};
use crate::cluster::BaseImage;
use crate::opened::Opened;

/// How a base image is got, beside what the description says.
#[derive(Debug, Clone, Default)]
pub struct BaseRequest {
    /// What its file as published must have, instead of what the description says.
    pub sha256: Option<Digest>,
    /// Accept one from the network that nothing vouches for.
    pub insecure: bool,
    /// The most bytes that it may unpack to.
    pub max_raw_len: Option<u64>,
    /// Never touch the network.
    pub offline: bool,
    /// Read a cached one in full, and compare it with its checksum.
    pub thorough: bool,
    /// How long to put up with a bad network.
    pub patience: Patience,
}

impl BaseRequest {
    /// From the cache or this machine's files alone.
    #[must_use]
    pub fn here() -> Self {
        Self { offline: true, ..Self::default() }
    }
}

/// A base image that was asked for and how it is to be got; nothing has been touched yet but the cache's folder.
#[derive(Debug)]
pub struct Wanted {
    spec: Spec,
    options: Options,
    cache: Cache,
    _scratch: Option<TempDir>,
}

impl Wanted {
    /// The image that the description names, as it and `request` have it. Getting it ends with `control`.
    ///
    /// # Errors
    /// [`Error::DigestOfSample`]; [`Error::Base`] where there can be no cache and one is needed.
    pub fn new(image: &BaseImage, request: &BaseRequest, control: &Control) -> Result<Self, Error> {
        let sha256 = request.sha256.or(image.sha256);
        if sha256.is_some() && image.image == Spec::Sample {
            return Err(Error::DigestOfSample);
        }
        let options = Options {
            mirror: image.mirror.clone(),
            sha256,
            insecure: request.insecure,
            offline: request.offline,
            keyring: image.keyring.clone(),
            thorough: request.thorough,
            max_raw_len: request.max_raw_len,
            patience: request.patience,
            cancel: control.cancel().clone(),
        };
        let (cache, scratch) = cache_for(&image.image)?;
        Ok(Self { spec: image.image.clone(), options, cache, _scratch: scratch })
    }

    /// The raw image of this machine that was asked for and is used where it lies, where it is one.
    pub(super) fn in_place(&self) -> Option<&Path> {
        match &self.spec {
            Spec::Path(path) if Opened::open(path).is_ok() => Some(path),
            _ => None,
        }
    }

    /// For what else is fetched, in the same way.
    pub(super) fn fetcher<'a>(&'a self, control: &'a Control) -> Fetcher<'a> {
        Fetcher {
            cache: &self.cache,
            offline: self.options.offline,
            patience: self.options.patience,
            cancel: control.cancel().clone(),
            progress: control.progress(),
        }
    }

    /// Where it will lie, unless it is used in place.
    #[must_use]
    pub fn cache_dir(&self) -> &Path {
        self.cache.dir()
    }

    /// Gets it: from the cache, from where it lies, or from the network. `observer` writes it elsewhere while it
    /// is decoded.
    ///
    /// # Errors
    /// [`Error::Base`]
    pub fn obtain(&self, control: &Control, observer: Option<&mut dyn ImageObserver>) -> Result<Base, Error> {
        Ok(self.cache.obtain(&self.spec, &self.options, control.progress(), observer)?)
    }
}

/// The cache and, where none can be had and an image in place needs nothing of it but a note of its
/// checksum, an empty one for this run: build sandboxes have no home.
fn cache_for(spec: &Spec) -> Result<(Cache, Option<TempDir>), Error> {
    let fault = match Cache::default_dir().and_then(|dir| Cache::open(&dir)) {
        Ok(cache) => return Ok((cache, None)),
        Err(fault) => fault,
    };
    if !matches!(spec, Spec::Path(path) if Opened::open(path).is_ok()) {
        return Err(fault.into());
    }
    tracing::info!("the image is used in place without a cache: {fault}");
    let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
    Ok((Cache::open(scratch.path())?, Some(scratch)))
}
