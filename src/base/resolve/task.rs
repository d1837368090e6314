//! The work for one image: waiting for its lock, unpacking it, putting it into the cache.

use crate::base::cache::entry::Files;
use crate::base::cache::{Cache, Checked, Found};
use crate::base::decode::pipeline::{self, Job, Outcome, Source, Stop};
use crate::base::decode::{ImageObserver, limit};
use crate::base::{Base, Digest, Error, Options, PURPOSE, Result, Trust};
use crate::catalog::{Release, Series};
use crate::http::{Access, Agent, space};
use crate::io::atomic::remove_remnants;
use crate::io::{AtomicFile, FileLock, Folder, Stamp};
use crate::progress::Progress;

pub(crate) struct Task<'a, 't> {
    pub(crate) cache: &'a Cache,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) observer: Option<&'t mut dyn ImageObserver>,
}

/// An image under way: where the raw bytes go and what they will be called.
pub(crate) struct Work<'a> {
    pub(crate) key: String,
    pub(crate) name: &'a str,
    pub(crate) len_hint: Option<u64>,
    /// What is known of this image.
    pub(crate) hint: Option<&'static Series>,
    /// Size of the packed file, where it is known.
    pub(crate) packed_len: Option<u64>,
    pub(crate) expected: Option<Digest>,
}

/// What was found or made, under the name that it was asked for by.
pub(crate) fn named(found: Found, name: String, release: Option<Release>, trust: Trust) -> Base {
    let Found { path, stamp, checked, digest, packed_len } = found;
    Base { name, release, url: None, len: stamp.len, packed_len, digest, trust, checked, path, stamp }
}

impl<'a> Task<'a, '_> {
    /// A client for the network.
    pub(crate) fn agent(&self) -> Result<Agent<'a>> {
        let access = Access::anonymous(&PURPOSE);
        Ok(Agent::new(self.options.patience, &self.options.cancel, self.progress, access)?)
    }
}

impl Task<'_, '_> {
    /// The image with this digest, if it is in the cache.
    pub(crate) fn find(&self, digest: &Digest) -> Result<Option<Found>> {
        let find = || self.cache.find(digest, self.options, self.progress);
        match find()? {
            None if self.cache.take_image(digest, &self.options.cancel, self.progress)? => find(),
            found => Ok(found),
        }
    }

    pub(crate) fn lock(&self, key: &str, what: &str) -> Result<FileLock> {
        let waits = || {
            self.progress
                .wait(&format!("another pibake is preparing {what}; waiting for it (Ctrl-C cancels)"))
        };
        Ok(FileLock::take(&self.cache.lock_path(key), &self.options.cancel, waits)?)
    }

    /// As [`Self::run`], for sources that cannot change on their way.
    pub(crate) fn produce(&mut self, work: &Work<'_>, source: &mut dyn Source) -> Result<Found> {
        self.run(work, source).map_err(|stop| stop.of_what_stays(work.name))
    }

    /// Unpacks `source` into the cache. The caller holds the lock of `work.key`.
    pub(crate) fn run(&mut self, work: &Work<'_>, source: &mut dyn Source) -> Result<Found, Stop> {
        let images = self.cache.images();
        let name = format!("{}.img", work.key);
        let path = images.join(&name);
        // one that was killed while this one waited for it has left a whole image's worth
        let image = Folder::open(&images)
            .and_then(|folder| remove_remnants(&folder, |remnant| remnant == name))
            .and_then(|_| AtomicFile::within(&images, &name))
            .map_err(|e| space::explain(e, "creating", &path))?;
        let job = Job {
            name: work.name,
            file: image.file(),
            path: &path,
            len_hint: work.len_hint,
            limit: limit::limit(work.hint, work.packed_len, self.options),
            expected: work.expected,
            cancel: &self.options.cancel,
        };
        let observer = self.observer.as_mut().map(|o| &mut **o as &mut dyn ImageObserver);
        let outcome = pipeline::run(&job, source, observer)?;
        Ok(self.commit(work, image, &outcome)?)
    }

    fn commit(&self, work: &Work<'_>, image: AtomicFile, outcome: &Outcome) -> Result<Found> {
        let digest = outcome.digest;
        // always in this order, the image's own last, so that no two wait for each other
        let _lock = match digest.to_string() {
            own if own != work.key => Some(self.lock(&own, work.name)?),
            _ => None,
        };
        let files = Files::new(&self.cache.images(), &digest);
        let there = files.load().is_some_and(|e| e.look(&files.image).is_ok_and(|(_, same)| same));
        if !there {
            files.commit(image, work.name, outcome)?;
        }
        tracing::info!(name = work.name, %digest, bytes = outcome.raw.len, "put into the cache");
        let stamp = Stamp::at(&files.image).map_err(|e| Error::io("examining", &files.image, e))?;
        let checked = Checked::Unpacked;
        Ok(Found { path: files.image, stamp, checked, digest, packed_len: outcome.packed_len })
    }
}
