//! Who is told of a wait, and who ends it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Who is told that something waits for another process, and what ends the wait. The default waits in
/// silence until it is its turn.
#[derive(Clone)]
pub struct Waiting {
    cancel: Arc<AtomicBool>,
    say: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Waiting {
    /// Ends when `cancel` becomes true; `say` gets a sentence for people.
    pub fn new(cancel: Arc<AtomicBool>, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { cancel, say: Arc::new(say) }
    }

    /// True once nobody wants the wait any longer.
    #[must_use]
    pub fn cancel(&self) -> &AtomicBool {
        &self.cancel
    }

    /// Tells it.
    pub fn say(&self, text: &str) {
        (self.say)(text);
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new(Arc::default(), |_| {})
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
