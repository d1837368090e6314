//! The base image as it was asked for, and how it is got.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::lock::Locking;
use super::{Control, Error, Notice};
use crate::base::{Base, Cache, Fetcher, ImageObserver, Ledger, Options, Patience};
use crate::catalog::{Digest, Spec};
use crate::cluster::BaseImage;
use crate::image_reader::ImageReader;
use crate::payload::Payload;
use crate::project::Project;

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
    /// Accept nothing but what pibake.lock has.
    pub locked: bool,
    /// Where it is kept.
    pub store: Store,
}

/// Where what is fetched is kept.
#[derive(Debug, Clone, Default)]
pub enum Store {
    /// In the user's cache.
    #[default]
    Cache,
    /// In this folder, from which alone it is taken.
    From(PathBuf),
    /// In this folder, which gets what is in the user's cache from there.
    Into(PathBuf),
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
    ledger: Ledger,
    locking: Option<Locking>,
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
            old_mirror: image.old_mirror.clone(),
            sha256,
            insecure: request.insecure,
            offline: request.offline || matches!(request.store, Store::From(_)),
            keyring: image.keyring.clone(),
            thorough: request.thorough,
            max_raw_len: request.max_raw_len,
            patience: request.patience,
            cancel: control.cancel().clone(),
        };
        let (cache, scratch) = match &request.store {
            Store::Cache => cache_for(&image.image)?,
            Store::From(dir) => (vendored(dir)?, None),
            Store::Into(dir) => (Cache::open(dir)?.copying_from(Cache::open(&Cache::default_dir()?)?), None),
        };
        let (ledger, locking) = (Ledger::default(), None);
        Ok(Self { spec: image.image.clone(), options, cache, _scratch: scratch, ledger, locking })
    }

    /// The same, held against the lock of the description: where something is preloaded, and where that was asked
    /// for.
    ///
    /// # Errors
    /// As [`Self::new`]; [`Error::NoLock`], [`Error::ReadingLock`]
    pub fn locked(project: &Project, request: &BaseRequest, control: &Control) -> Result<Self, Error> {
        let base = &project.cluster.base;
        let wanted = Self::new(base, request, control)?;
        if !project.cluster.image.preload && !request.locked {
            return Ok(wanted);
        }
        let locking = Locking::open(project, request.locked)?;
        let mut wanted = Self { ledger: locking.ledger(), ..wanted };
        if let Some((spec, digest)) = locking.base().filter(|_| base.image != Spec::Sample) {
            wanted.options.sha256 = wanted.options.sha256.or(Some(digest));
            wanted.spec = spec;
        }
        Ok(Self { locking: Some(locking), ..wanted })
    }

    /// The same where all is looked up anew, whatever the lock has.
    ///
    /// # Errors
    /// As [`Self::locked`]
    pub(super) fn anew(project: &Project, request: &BaseRequest, control: &Control) -> Result<Self, Error> {
        let wanted = Self::new(&project.cluster.base, request, control)?;
        Ok(Self { locking: Some(Locking::anew(project)), ..wanted })
    }

    /// The lock, where it is heeded.
    pub(super) fn locking(&self) -> Option<&Locking> {
        self.locking.as_ref()
    }

    /// What names were found to stand for.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Holds what was fetched against the lock, where it is heeded, or writes it there.
    pub(super) fn settle(
        &self,
        base: &Base,
        payload: Option<&Payload>,
        control: &Control,
    ) -> Result<(), Error> {
        let Some(locking) = &self.locking else { return Ok(()) };
        if locking.settle(base, &self.ledger, payload)? {
            control.tell(&Notice::Locked(locking.path().to_owned()));
        }
        Ok(())
    }

    /// The raw image of this machine that was asked for and is used where it lies, where it is one.
    pub(super) fn in_place(&self) -> Option<&Path> {
        match &self.spec {
            Spec::Path(path) if ImageReader::open(path).is_ok() => Some(path),
            _ => None,
        }
    }

    /// Where what is fetched is kept.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// For what else is fetched or sent, in the same way.
    pub fn fetcher<'a>(&'a self, control: &'a Control) -> Fetcher<'a> {
        Fetcher {
            offline: self.options.offline,
            patience: self.options.patience,
            cancel: control.cancel().clone(),
            progress: control.progress(),
            ..Fetcher::new(&self.cache, &self.ledger)
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

/// A folder that pibake vendor made.
fn vendored(dir: &Path) -> Result<Cache, Error> {
    match dir.join("files").is_dir() {
        true => Ok(Cache::open(dir)?),
        false => Err(Error::NotVendored { dir: dir.to_owned() }),
    }
}

/// The cache and, where none can be had and an image in place needs nothing of it but a note of its
/// checksum, an empty one for this run: build sandboxes have no home.
fn cache_for(spec: &Spec) -> Result<(Cache, Option<TempDir>), Error> {
    let fault = match Cache::default_dir().and_then(|dir| Cache::open(&dir)) {
        Ok(cache) => return Ok((cache, None)),
        Err(fault) => fault,
    };
    if !matches!(spec, Spec::Path(path) if ImageReader::open(path).is_ok()) {
        return Err(fault.into());
    }
    tracing::info!("the image is used in place without a cache: {fault}");
    let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
    Ok((Cache::open(scratch.path())?, Some(scratch)))
}
