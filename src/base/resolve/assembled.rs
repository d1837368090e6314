//! Images that come in pieces from elsewhere, and are known by the digest of the raw image.

use std::time::SystemTime;

use super::source::LocalFile;
use super::task::{Task, Work, named};
use crate::base::cache::{Cache, Found};
use crate::base::decode::ImageObserver;
use crate::base::decode::pipeline::{self, Source};
use crate::base::{Base, Digest, Options, Result, Trust};
use crate::http::space;
use crate::progress::Progress;

/// An image that somebody vouches for.
#[derive(Debug, Clone)]
pub(crate) struct Promised {
    /// What it is called.
    pub(crate) name: String,
    /// SHA-256 of the raw image.
    pub(crate) raw: Digest,
    /// SHA-256 of the file that it was published as, under which it may be in the cache.
    pub(crate) published: Digest,
    /// Size of the raw image in bytes.
    pub(crate) len: u64,
    /// Who vouches for it.
    pub(crate) signed_by: String,
}

impl Promised {
    fn base(&self, found: Found) -> Base {
        named(found, self.name.clone(), None, Trust::Signed(self.signed_by.clone()))
    }
}

impl Cache {
    /// SHA-256 of the raw image of `base`: known from before, or found out by reading all of it.
    ///
    /// # Errors
    /// [`Error`](crate::base::Error)
    pub(crate) fn raw_digest(
        &self,
        base: &Base,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let path = base.path();
        base.unchanged()?;
        if let Some(known) = self.memos().digest_of(path, &base.stamp) {
            return Ok(known);
        }
        let before = SystemTime::now();
        let mut file = LocalFile::open(path, path, "reading", progress)?;
        let digest =
            pipeline::hash(&mut file, &options.cancel).map_err(|stop| stop.of_what_stays(&base.name))?;
        base.unchanged()?;
        self.memos().remember(path, base.stamp, digest, before);
        Ok(digest)
    }

    /// The image, if it is here.
    ///
    /// # Errors
    /// [`Error`](crate::base::Error)
    pub(crate) fn promised(
        &self,
        image: &Promised,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Option<Base>> {
        let task = Task { cache: self, options, progress, observer: None };
        for digest in [image.raw, image.published] {
            let _lock = task.lock(&digest.to_string(), &image.name)?;
            let Some(base) = task.find(&digest)?.map(|found| image.base(found)) else { continue };
            // somebody vouches for the raw image; what a file was unpacked to is held against that, once
            let is_it = digest == image.raw
                || (base.len == image.len && self.raw_digest(&base, options, progress)? == image.raw);
            if is_it {
                return Ok(Some(base));
            }
        }
        Ok(None)
    }

    /// Puts the image here that `source` gives the raw bytes of, from the first to the last. `observer` sees it
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::WrongDigest`](crate::base::Error::WrongDigest) where it is another one: then nothing is kept.
    pub(crate) fn assemble(
        &self,
        image: &Promised,
        source: &mut dyn Source,
        options: &Options,
        progress: &dyn Progress,
        observer: Option<&mut dyn ImageObserver>,
    ) -> Result<Base> {
        self.sweep()?;
        let key = image.raw.to_string();
        // what says how large it is has been verified, so that no limit need be guessed
        let options = Options { max_raw_len: Some(image.len), ..options.clone() };
        let mut task = Task { cache: self, options: &options, progress, observer };
        let _lock = task.lock(&key, &image.name)?;
        if let Some(found) = task.find(&image.raw)? {
            return Ok(image.base(found));
        }
        space::check(&self.images(), image.len)?;
        let work = Work {
            key,
            name: &image.name,
            len_hint: Some(image.len),
            hint: None,
            packed_len: Some(image.len),
            expected: Some(image.raw),
        };
        let found = task.produce(&work, source);
        self.hand_over()?;
        Ok(image.base(found?))
    }
}
