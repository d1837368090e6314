//! Where a file has data, as its file system tells: lseek(2), `SEEK_DATA` and `SEEK_HOLE`.

use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The first byte from `at` on that may hold anything but zero; `None` where only a hole follows. A file system
/// that does not know of holes has data everywhere.
///
/// # Errors
/// What the system answers.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(start.max(at))),
        Err(Errno::NXIO) => Ok(None),
        Err(e) if cannot_say(e) => Ok(Some(at)),
        Err(e) => Err(e.into()),
    }
}

/// The first byte from `at` on that is in a hole; at the latest `len`, the end of the file.
///
/// # Errors
/// What the system answers.
pub(crate) fn next_hole(file: &File, at: u64, len: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Hole(at)) {
        Ok(end) => Ok(end.min(len)),
        Err(e) if cannot_say(e) => Ok(len),
        Err(e) => Err(e.into()),
    }
}

/// Whether this answer means that the file system knows nothing of holes: `EINVAL` by those that do not have
/// the two ways to seek at all, `EOPNOTSUPP` by network and FUSE file systems whose server has not.
fn cannot_say(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_is_between_holes() {
        let file = tempfile::tempfile().unwrap();
        let len = 8 << 20;
        file.set_len(len).unwrap();
        file.write_all_at(b"x", 3 << 20).unwrap();
        let start = next_data(&file, 0).unwrap().unwrap();
        let end = next_hole(&file, start, len).unwrap();
        assert!(start <= 3 << 20 && end > 3 << 20 && end <= len, "{start}..{end}");
        // where the temporary folder's file system knows of holes, as all of Linux' own do
        if start > 0 {
            assert_eq!(next_data(&file, end).unwrap(), None);
        }
        assert_eq!(next_data(&file, len).unwrap(), None);
    }

    #[test]
    fn what_knows_no_holes_has_data_everywhere_and_a_fault_is_a_fault() {
        assert!([Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS].into_iter().all(cannot_say));
        assert!(![Errno::IO, Errno::NXIO, Errno::BADF].into_iter().any(cannot_say));
        // a pipe cannot be sought in at all
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        assert!(next_data(&pipe, 0).is_err() && next_hole(&pipe, 0, 1).is_err());
    }
}
