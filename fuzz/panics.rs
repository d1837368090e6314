//! Whose panics count.
//!
//! libfuzzer-sys ends the process at every panic, also at one that is caught. pibake's bake catches
//! panics, since the editors of file systems are other people's code: of a damaged image they may give
//! up, and nothing is written then. A panic of pibake's own code is a fault all the same.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

/// Lets panics in crates of the registry unwind to where they are caught. For `init:` of a target.
pub fn only_our_own() {
    let aborting = take_hook();
    set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|at| !at.file().contains("/registry/src/")) {
            aborting(panic);
        }
    }));
}

/// What `work` gives; `None` if it panicked in code that is not pibake's.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
