//! Threads that work on one thing, and what became of it.

use crate::error::{Classified, ErrorClass};

/// What a thread returned. A panic of one is a fault of ours, and goes on in whoever waits for it.
pub(super) fn returned<T>(ended: std::thread::Result<T>) -> T {
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Of the faults of what was done together the one that ended it: what ended because of another one's fault says
/// that it was cancelled.
pub(super) fn cause<E: Classified>(mut faults: Vec<E>) -> Option<E> {
    let first = faults.iter().position(|fault| fault.class() != ErrorClass::Cancelled).unwrap_or(0);
    (first < faults.len()).then(|| faults.swap_remove(first))
}

#[cfg(test)]
mod tests {
    use super::super::Error;
    use super::*;

    #[test]
    fn the_cause_is_the_first_fault_that_is_not_a_consequence() {
        let full = |needed| Error::NoRoom { path: "/".into(), images: 1, needed, free: 0 };
        assert!(cause(Vec::<Error>::new()).is_none());
        assert!(matches!(cause(vec![Error::Cancelled, Error::Cancelled]), Some(Error::Cancelled)));
        let found = cause(vec![Error::Cancelled, full(1), full(2)]);
        assert!(matches!(found, Some(Error::NoRoom { needed: 1, .. })), "{found:?}");
    }
}
