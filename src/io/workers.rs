//! Several pieces of work at once, each done by one thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::cancel::CancelToken;
use crate::error::{Classified, ErrorClass};

/// Does `work` for each number below `count`, of at most `most` of them at a time. Where one fails, `over` is cancelled
/// for the others; the error is the first cause, and not that others were cancelled for it. `lost` is the error where a
/// thread ended without a result.
pub(crate) fn at_once<E: Classified + Send>(
    most: usize,
    count: usize,
    over: &CancelToken,
    lost: impl Fn() -> E,
    work: impl Fn(usize) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<(), E> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return Ok(());
            }
            work(at).inspect_err(|_| over.cancel())?;
        }
    };
    let mut errors: Vec<E> = thread::scope(|scope| {
        let workers: Vec<_> = (0..most.min(count)).map(|_| scope.spawn(worker)).collect();
        let ends = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(lost())));
        ends.filter_map(Result::err).collect()
    });
    errors.sort_by_key(|error| error.class() == ErrorClass::Cancelled);
    errors.into_iter().next().map_or(Ok(()), Err)
}

/// As [`at_once`], with what comes of each number, in their order.
pub(crate) fn each_at_once<T: Send, E: Classified + Send>(
    most: usize,
    count: usize,
    over: &CancelToken,
    lost: impl Fn() -> E,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let done = Mutex::new(Vec::with_capacity(count));
    at_once(most, count, over, lost, |at| {
        let result = work(at)?;
        done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        Ok(())
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0:?}")]
    struct Fault(ErrorClass);

    impl Classified for Fault {
        fn class(&self) -> ErrorClass {
            self.0
        }
    }

    #[test]
    fn all_is_done_once() {
        let done = Mutex::new(Vec::new());
        let lost = || Fault(ErrorClass::Internal);
        let work = |at| {
            done.lock().unwrap().push(at);
            Ok(())
        };
        at_once(4, 100, &CancelToken::default(), lost, work).unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..100).collect::<Vec<_>>());
        at_once(4, 0, &CancelToken::default(), lost, |_| Err(Fault(ErrorClass::Failed))).unwrap();
    }

    #[test]
    fn results_come_in_the_order_of_the_numbers() {
        let lost = || Fault(ErrorClass::Internal);
        let later_first = |at: usize| {
            thread::sleep(std::time::Duration::from_millis(3 - at as u64 % 4));
            Ok(at * 2)
        };
        let found = each_at_once(4, 20, &CancelToken::default(), lost, later_first).unwrap();
        assert_eq!(found, (0..20).map(|at| at * 2).collect::<Vec<_>>());
        let fails = |at| if at == 7 { Err(Fault(ErrorClass::Network)) } else { Ok(at) };
        assert!(each_at_once(4, 20, &CancelToken::default(), lost, fails).is_err());
    }

    #[test]
    fn the_first_cause_is_told_and_ends_the_others() {
        let over = CancelToken::default();
        let work = |at| match at {
            7 => Err(Fault(ErrorClass::Network)),
            _ if over.is_cancelled() => Err(Fault(ErrorClass::Cancelled)),
            _ => Ok(()),
        };
        let lost = || Fault(ErrorClass::Internal);
        let error = at_once(3, 1_000_000_000, &over, lost, work).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Network);
        let panics = |at| if at == 1 { panic!("on purpose") } else { Ok(()) };
        let error = at_once(2, 2, &CancelToken::default(), lost, panics).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Internal);
    }
}
