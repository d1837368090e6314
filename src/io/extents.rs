//! Where a file has data, as its file system tells: lseek(2), `SEEK_DATA` and `SEEK_HOLE`.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The first bytes from `at` on, of the `len` bytes that the file has, which may be other than zero: they end
/// where a hole begins. `None` where only a hole follows. A file system that does not know of holes has data
/// everywhere.
///
/// # Errors
/// What the system answers.
pub(crate) fn next_data(file: &File, at: u64, len: u64) -> io::Result<Option<Range<u64>>> {
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) => start.max(at),
        Err(Errno::NXIO) => return Ok(None),
        Err(e) if cannot_say(e) => at,
        Err(e) => return Err(e.into()),
    };
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) => end.min(len),
        Err(e) if cannot_say(e) => len,
        Err(e) => return Err(e.into()),
    };
    // A file that shrinks meanwhile must not keep whoever asks again for ever.
    Ok((start < end).then_some(start..end))
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
        let data = next_data(&file, 0, len).unwrap().unwrap();
        assert!(data.contains(&(3 << 20)) && data.end <= len, "{data:?}");
        // where the temporary folder's file system knows of holes, as all of Linux' own do
        if data.start > 0 {
            assert_eq!(next_data(&file, data.end, len).unwrap(), None);
        }
        assert_eq!(next_data(&file, len, len).unwrap(), None);
        // as of a file that was cut short since its length was asked for
        assert_eq!(next_data(&file, data.start, data.start).unwrap(), None);
    }

    #[test]
    fn what_knows_no_holes_has_data_everywhere_and_a_fault_is_a_fault() {
        assert!([Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS].into_iter().all(cannot_say));
        assert!(![Errno::IO, Errno::NXIO, Errno::BADF].into_iter().any(cannot_say));
        // a pipe cannot be sought in at all
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        assert!(next_data(&pipe, 0, 1).is_err());
    }
}
