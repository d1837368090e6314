//! Ctrl-C and SIGTERM, and runs that end by them.

use crate::error::{Doing, Failure};
use crate::io::CancelToken;
use crate::ui::Ui;
use crate::workflow::Control;

/// Cancelled by the first Ctrl-C or SIGTERM, from now on.
pub(super) fn cancelled() -> Result<CancelToken, Failure> {
    let cancel = CancelToken::default();
    listen(&cancel)?;
    Ok(cancel)
}

/// Cancels `cancel` on the first Ctrl-C or SIGTERM from now on; a second one ends the program at once, which
/// leaves nothing that a later run would trust. Until this is called the first one does.
pub(super) fn listen(cancel: &CancelToken) -> Result<(), Failure> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, cancel.flag())
            .and_then(|_| signal_hook::flag::register(signal, cancel.flag()))
            .doing(|| "listening for Ctrl-C".to_owned())?;
    }
    Ok(())
}

/// A run that is told where `ui` has it, and ended by `cancel`.
pub(super) fn control(ui: &Ui, cancel: &CancelToken) -> Control {
    Control::new(ui.shared_progress(), cancel.clone())
}
