//! How long a bad network is put up with.

use std::time::Duration;

/// How long a bad network is put up with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How many times in a row a request may fail without one byte of progress.
    pub attempts: u32,
    /// How long a connection may stay silent.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 6, stall: Duration::from_secs(30) }
    }
}
