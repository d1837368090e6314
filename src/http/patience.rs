//! How long a bad network is put up with.

use std::time::Duration;

/// How long a bad network is put up with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How many times in a row a request may fail without one byte of progress.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one, and half of it is random.
    pub first_delay: Duration,
    /// The longest wait, also where a server asks for more by `Retry-After`.
    pub longest_delay: Duration,
    /// How long a connection may stay silent.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}
