//! From what was asked for to an image in the cache: the one way through the other folders.

mod assembled;
mod files;
mod local;
mod missing;
mod pieces;
mod release;
mod remote;
mod source;
mod task;
mod whole;

pub(crate) use assembled::Promised;
pub use files::Fetcher;
pub(crate) use files::Wanted;
pub(crate) use pieces::Pieces;

use super::cache::Cache;
use super::decode::ImageObserver;
use super::{Base, Options, Result, Spec};
use crate::progress::Progress;
use task::Task;

impl Cache {
    /// Gets the image that `spec` names: from the cache, from where it lies, or from the network. `observer`
    /// sees it while it is decoded, which is only where it was not in the cache.
    ///
    /// Several processes may ask for the same image at once: one works, the others wait for it. What
    /// a killed one left is resumed (a download) or cleared away.
    ///
    /// # Errors
    /// [`Error`](super::Error); whatever it is, nothing that is not whole and verified stands under a final name.
    pub fn obtain(
        &self,
        spec: &Spec,
        options: &Options,
        progress: &dyn Progress,
        observer: Option<&mut dyn ImageObserver>,
    ) -> Result<Base> {
        self.sweep()?;
        let mut task = Task { cache: self, options, progress, observer };
        let obtained = match spec {
            Spec::Sample => task.sample(),
            Spec::Path(path) => task.local(path),
            Spec::Release(release) => task.release(*release),
            Spec::Url(url) => task.address(url),
        };
        self.hand_over()?;
        obtained
    }
}
