//! One process at a time works on one image.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::options::go_on;
use super::{Error, Result};
use crate::progress::Progress;

/// How often it is looked whether another process is done. Waiting inside the kernel would keep
/// Ctrl-C from ending the wait where a handler is installed.
const LOOK: Duration = Duration::from_millis(100);

/// Held until it is dropped; the system drops it for a process that is killed.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "holds the lock")] File);

impl Lock {
    /// Waits until nobody else holds the lock `path`, and takes it. The file stays for ever: were it
    /// removed, two processes could hold locks on two files of one name.
    pub(super) fn take(
        path: &Path,
        what: &str,
        cancel: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut told = false;
        loop {
            go_on(cancel)?;
            match Self::try_take(path)? {
                Some(lock) => return Ok(lock),
                None if !told => {
                    progress.note(&format!("another pibake is preparing {what}; waiting for it"));
                    told = true;
                }
                None => {}
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Takes the lock if nobody holds it.
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| Error::io("opening the lock", path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(e) => Err(Error::io("locking (set XDG_CACHE_HOME to a local disk)", path, e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let cancel = AtomicBool::new(false);
        let first = Lock::take(&path, "x", &cancel, &Silent).unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::take(&path, "x", &AtomicBool::new(false), &Silent).unwrap()
        });
        drop(first);
        let second = waiting.join().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(Lock::take(&path, "x", &cancel, &Silent), Err(Error::Cancelled)));
        drop(second);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
