//! Who is told how a run goes, and what ends it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Notice, Warning};
use crate::io::{CancelToken, Waiting};
use crate::progress::{Progress, Silent};

/// Who is told how a run goes, and what ends it.
#[derive(Clone)]
pub struct Control {
    progress: Arc<dyn Progress>,
    cancel: CancelToken,
    warnings: Arc<Mutex<Vec<Warning>>>,
}

impl Control {
    /// Reports to `progress`, and ends soon after `cancel` was cancelled.
    pub fn new(progress: Arc<dyn Progress>, cancel: CancelToken) -> Self {
        Self { progress, cancel, warnings: Arc::default() }
    }

    /// Where long work reports to.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        self.progress.as_ref()
    }

    /// The same, to be kept for longer.
    #[must_use]
    pub fn shared_progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.progress)
    }

    /// What ends the run.
    #[must_use]
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// For waits on other processes: each is told, and ends with the run.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let progress = Arc::clone(&self.progress);
        Waiting::new(self.cancel.clone(), move |text| progress.wait(text))
    }

    /// Tells what was found out.
    pub fn tell(&self, notice: &Notice) {
        self.progress.note(&notice.to_string());
    }

    /// Tells what is probably not meant, and keeps it.
    pub fn warn(&self, warning: Warning) {
        self.progress.warn(&Notice::Warning(warning.clone()).to_string());
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    /// What was warned of.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tells nobody and goes on to the end.
impl Default for Control {
    fn default() -> Self {
        Self::new(Arc::new(Silent), CancelToken::default())
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
