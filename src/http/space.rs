//! Whether the disk is large enough, before and when it turns out not to be.

use std::io;
use std::path::Path;

use super::error::{Error, Result};
use crate::error::ErrorClass;
use crate::io::free_space;

/// Refuses to begin what would not fit.
pub(crate) fn check(dir: &Path, needed: u64) -> Result<()> {
    let available = free_space(dir).map_err(|e| Error::io("checking the free space in", dir, e))?;
    if available < needed {
        return Err(Error::NoSpace { dir: dir.to_owned(), needed: Some(needed), available });
    }
    Ok(())
}

/// The error of having written to `path`: a full disk is said as such.
pub(crate) fn explain(error: io::Error, doing: &str, path: &Path) -> Error {
    if ErrorClass::of_io(&error) != ErrorClass::NoSpace {
        return Error::io(doing, path, error);
    }
    let dir = path.parent().unwrap_or(path).to_owned();
    let available = free_space(&dir).unwrap_or(0);
    Error::NoSpace { dir, needed: None, available }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_numbers() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path(), 0).unwrap();
        let error = check(dir.path(), u64::MAX).unwrap_err();
        assert!(matches!(error, Error::NoSpace { needed: Some(u64::MAX), .. }));
        let error = explain(io::ErrorKind::StorageFull.into(), "writing", &dir.path().join("x"));
        assert!(matches!(&error, Error::NoSpace { dir: d, needed: None, .. } if d == dir.path()));
        // the last one is a limit of the file system or the shell, however much space is free
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::FileTooLarge] {
            assert_eq!(explain(kind.into(), "writing", Path::new("/x")).to_string(), "writing /x");
        }
    }
}
