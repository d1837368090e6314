//! Who is told of a wait, and who ends it.

use std::fmt;
use std::sync::Arc;

use super::CancelToken;

/// Who is told that something waits for another process, and what ends the wait. The default waits in
/// silence until it is its turn.
#[derive(Clone)]
pub struct Waiting {
    cancel: CancelToken,
    say: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Waiting {
    /// Ends with `cancel`; `say` gets a sentence for people.
    pub fn new(cancel: CancelToken, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { cancel, say: Arc::new(say) }
    }

    /// What ends the wait.
    #[must_use]
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// Tells it.
    pub fn say(&self, text: &str) {
        (self.say)(text);
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new(CancelToken::default(), |_| {})
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
