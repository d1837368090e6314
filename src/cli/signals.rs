//! Ctrl-C and SIGTERM.

use crate::error::{Doing, Failure};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Becomes true on the first Ctrl-C or SIGTERM, from now on.
pub(super) fn cancelled() -> Result<Arc<AtomicBool>, Failure> {
    let cancel = Arc::default();
    listen(&cancel)?;
    Ok(cancel)
}

/// Makes `cancel` true on the first Ctrl-C or SIGTERM from now on; a second one ends the program at once, which
/// leaves nothing that a later run would trust. Until this is called the first one does.
pub(super) fn listen(cancel: &Arc<AtomicBool>) -> Result<(), Failure> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(cancel))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(cancel)))
            .doing(|| "listening for Ctrl-C".to_owned())?;
    }
    Ok(())
}
