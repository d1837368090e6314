//! How much may still be written: statvfs(3).

use std::io;
use std::path::Path;

/// Bytes that an ordinary user may still write in the file system of `dir`. What is kept for root is not
/// counted, for root either.
///
/// # Errors
/// What the system answers.
pub(crate) fn free_space(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_some_and_what_is_not_there_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_space(dir.path()).unwrap() > 0);
        assert_eq!(free_space(&dir.path().join("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
