//! What a build needs, fetched without making anything: to move the lock on, and to carry it elsewhere.

use std::path::PathBuf;

use super::change::Change;
use super::{BaseRequest, Described, Error, Wanted};
use crate::base::Base;
use crate::payload::Payload;

/// What a build needs.
#[derive(Debug)]
pub struct Gathered {
    /// The base image.
    pub base: Base,
    /// What is preloaded, where something is.
    pub payload: Option<Payload>,
}

/// How a lock was moved on.
#[derive(Debug)]
pub struct Updated {
    /// The lock.
    pub path: PathBuf,
    /// What is another one now.
    pub changes: Vec<Change>,
}

impl Described {
    /// Fetches what a build needs, as the lock has it, and writes down there what it does not have yet.
    ///
    /// # Errors
    /// [`Error`]
    pub fn gather(&self, request: &BaseRequest) -> Result<Gathered, Error> {
        let wanted = Wanted::locked(&self.project, request, &self.control)?;
        let gathered = self.gathered(&wanted)?;
        wanted.settle(&gathered.base, gathered.payload.as_ref(), &self.control)?;
        Ok(gathered)
    }

    /// Looks all up anew, fetches it, and makes that the lock.
    ///
    /// # Errors
    /// [`Error::NothingToLock`], and what keeps it from being fetched; the lock is as it was then.
    pub fn update(&self, request: &BaseRequest) -> Result<Updated, Error> {
        if !self.project.cluster.image.preload {
            return Err(Error::NothingToLock);
        }
        let wanted = Wanted::anew(&self.project, request, &self.control)?;
        let Gathered { base, payload } = self.gathered(&wanted)?;
        let Some(locking) = wanted.locking() else { return Err(Error::NothingToLock) };
        let changes = locking.renew(&base, wanted.ledger(), payload.as_ref())?;
        Ok(Updated { path: locking.path().to_owned(), changes })
    }

    fn gathered(&self, wanted: &Wanted) -> Result<Gathered, Error> {
        let base = wanted.obtain(&self.control, None)?;
        let is_preloaded = self.project.cluster.image.preload;
        let payload = is_preloaded.then(|| self.fetch(wanted, base.path())).transpose()?;
        Ok(Gathered { base, payload })
    }
}
