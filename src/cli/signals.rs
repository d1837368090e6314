//! Ctrl-C and SIGTERM.

use crate::error::{Doing, Failure};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Becomes true on the first Ctrl-C or SIGTERM; a second one ends the program at once, which leaves
/// nothing that a later run would trust.
pub fn cancelled() -> Result<Arc<AtomicBool>, Failure> {
    let cancel = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&cancel))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&cancel)))
            .doing(|| "listening for Ctrl-C".to_owned())?;
    }
    Ok(cancel)
}
