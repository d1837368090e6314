//! How long to wait before something is tried again.

use std::time::Duration;

/// The wait after the first failure; it doubles with each further one, and half of it is random.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// The longest wait, also where a server asks for more by `Retry-After`.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Counts failures in a row and says how long to wait.
pub(crate) struct Backoff {
    attempts: u32,
    failures: u32,
}

impl Backoff {
    /// Nothing has failed yet, and so many times in a row something may.
    pub(super) fn new(attempts: u32) -> Self {
        Self { attempts, failures: 0 }
    }

    /// How many tries there were, with the one that failed just now.
    pub(super) fn tries(&self) -> u32 {
        self.failures + 1
    }

    /// Something arrived: what failed before no longer counts.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure, where it is not the last one; a server may ask for more.
    pub(super) fn next(&mut self, server_asks: Option<Duration>) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let delay = FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY);
        // half of it is random, lest a classroom of machines come back at the same moment
        let delay = delay.mul_f64(0.5 + 0.5 * random());
        Some(server_asks.map_or(delay, |asked| asked.min(LONGEST_DELAY).max(delay)))
    }
}

/// From 0 to 1.
fn random() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_its_limit_and_ends() {
        let mut backoff = Backoff::new(10);
        for most in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let delay = backoff.next(None).unwrap().as_secs_f64();
            assert!(delay <= most && delay >= most / 2.0, "{delay} for {most}");
        }
        assert_eq!(backoff.next(None), None);
        backoff.reset();
        assert_eq!(backoff.next(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(backoff.next(Some(Duration::from_secs(7000))), Some(Duration::from_secs(60)));
    }
}
