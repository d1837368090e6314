//! How work learns that nobody wants it any longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Classified, ErrorClass};

/// How often whatever waits for something else asks whether it is still wanted: too short for a person to
/// notice, too long for the processor to.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// Nobody wants the work any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Classified for Cancelled {
    fn class(&self) -> ErrorClass {
        ErrorClass::Cancelled
    }
}

/// Cancels work, from any thread or from a signal handler. Clones are the same token; the default is one that
/// nobody else holds.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<CancelToken>>,
}

impl CancelToken {
    /// A token for a part of the work, which is cancelled with the whole or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }

    /// Cancels what has this token or one of its children.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether somebody did.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.parent.as_ref().is_some_and(|parent| parent.is_cancelled())
    }

    /// Goes on unless the work is cancelled.
    ///
    /// # Errors
    /// [`Cancelled`]
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Sleeps for `time`, or until shortly after the work is cancelled.
    ///
    /// # Errors
    /// [`Cancelled`]
    pub fn sleep(&self, time: Duration) -> Result<(), Cancelled> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(POLL));
        }
    }

    /// What a signal handler sets: true is cancelled.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cancelled_with_the_whole_and_not_the_other_way_round() {
        let whole = CancelToken::default();
        let [part, other] = [whole.child(), whole.child()];
        part.clone().cancel();
        assert_eq!([&whole, &part, &other].map(CancelToken::check), [Ok(()), Err(Cancelled), Ok(())]);
        whole.flag().store(true, Ordering::Relaxed);
        assert_eq!(other.child().check(), Err(Cancelled));
    }

    #[test]
    fn a_sleep_ends_early_when_it_is_cancelled() {
        let token = CancelToken::default();
        token.sleep(Duration::from_millis(1)).unwrap();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| token.sleep(Duration::from_secs(600)));
            token.cancel();
            assert_eq!(sleeper.join().unwrap(), Err(Cancelled));
        });
    }
}
