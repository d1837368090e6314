//! The raw image on the disk: without its zeros, past the page cache where that is possible, and with a
//! checksum of its content.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::digest::{Digest, Hasher};
use super::zero;
use crate::disk::Direct;
use crate::disk::aligned::Aligned;

/// Begin to write to the disk after so many bytes, so that not all of it is left for the end.
const FLUSH_AFTER: u64 = 64 << 20;

/// Bytes that are written at once.
const WRITE: usize = 1 << 20;

/// The unit of [`Content`].
const BLOCK: usize = 64 * 1024;

/// A checksum of an image's content that costs little and is the same however its zeros are stored:
/// the SHA-256 over the position and the CRC-32C of every block of 64 KiB that is not all zeros, and
/// over the length. It is there to find accidental damage; deceit is the signed digest's matter.
pub(super) struct Content {
    hasher: Hasher,
}

/// Names the scheme, so that another one can take its place.
const SCHEME: &str = "crc32c-64k";

impl Content {
    pub(super) fn new() -> Self {
        Self { hasher: Hasher::default() }
    }

    /// Takes the bytes from `offset` on, a multiple of 64 KiB. All but the last piece are whole blocks.
    pub(super) fn update(&mut self, offset: u64, data: &[u8]) {
        let mut at = offset;
        for block in data.chunks(BLOCK) {
            if !zero::is_zero(block) {
                self.hasher.update(&at.to_le_bytes());
                self.hasher.update(&crc32c::crc32c(block).to_le_bytes());
            }
            at += block.len() as u64;
        }
    }

    pub(super) fn finish(mut self, len: u64) -> String {
        self.hasher.update(&len.to_le_bytes());
        let digest: Digest = self.hasher.finish();
        format!("{SCHEME}:{digest}")
    }
}

/// Writes an image in order, leaving out what is zero.
pub(super) struct Writer<'a> {
    file: &'a File,
    direct: Direct,
    /// What is about to be written, where direct writes may begin.
    buffer: Aligned,
    content: Content,
    len: u64,
    unflushed: u64,
    flusher: Sender<()>,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) len: u64,
    pub(super) content: String,
}

impl<'a> Writer<'a> {
    /// Writes into `file`, which is empty. What the returned receiver is for: see [`flush`].
    pub(super) fn new(file: &'a File) -> (Self, Receiver<()>) {
        let (flusher, wishes) = bounded(1);
        let (direct, buffer) = (Direct::default(), Aligned::zeroed(WRITE));
        (Self { file, direct, buffer, content: Content::new(), len: 0, unflushed: 0, flusher }, wishes)
    }

    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        for part in zero::parts_to_write(data) {
            let mut offset = self.len + part.start as u64;
            for bytes in data.get(part).unwrap_or_default().chunks(WRITE) {
                let copy = &mut self.buffer[..bytes.len()];
                copy.copy_from_slice(bytes);
                self.direct.write(self.file, offset, copy)?;
                offset += bytes.len() as u64;
                self.unflushed += bytes.len() as u64;
            }
        }
        self.content.update(self.len, data);
        self.len += data.len() as u64;
        if self.unflushed >= FLUSH_AFTER {
            match self.flusher.try_send(()) {
                // still busy with the last time: it will do these as well
                Ok(()) | Err(TrySendError::Full(())) => self.unflushed = 0,
                Err(TrySendError::Disconnected(())) => return Err(io::Error::other("the flusher ended")),
            }
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, len: u64) {
        self.len += len;
    }

    pub(super) fn finish(self) -> io::Result<Written> {
        self.file.set_len(self.len)?;
        self.file.sync_all()?;
        Ok(Written { len: self.len, content: self.content.finish(self.len) })
    }
}

/// Flushes whenever the writer wishes it, beside the writer, until the writer is gone.
pub(super) fn flush(file: &File, wishes: &Receiver<()>) -> io::Result<()> {
    wishes.iter().try_for_each(|()| file.sync_data())
}

/// The checksum of a file, reading all of it that is not a hole.
pub(super) fn content_of(path: &Path, mut seen: impl FnMut(u64)) -> io::Result<String> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut content = Content::new();
    let mut buffer = vec![0; 16 * BLOCK];
    let mut at = 0;
    while at < len {
        let data = next_data(&file, at, len)?;
        if data > at {
            seen(data - at);
            at = data;
            continue;
        }
        let most = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..most) else { break };
        file.read_exact_at(part, at)?;
        content.update(at, part);
        at += most as u64;
        seen(most as u64);
    }
    Ok(content.finish(len))
}

/// The start of the first block from `at` on that may hold anything.
fn next_data(file: &File, at: u64, len: u64) -> io::Result<u64> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => Ok((data - data % BLOCK as u64).max(at)),
        Err(rustix::io::Errno::NXIO) => Ok(len),
        // a file system that knows no holes
        Err(rustix::io::Errno::INVAL) => Ok(at),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn write(pieces: &[&[u8]]) -> (tempfile::NamedTempFile, Written) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = {
            let (mut writer, wishes) = Writer::new(file.as_file());
            for piece in pieces {
                if zero::is_zero(piece) {
                    writer.skip(piece.len() as u64);
                } else {
                    writer.write(piece).unwrap();
                }
            }
            let written = writer.finish().unwrap();
            flush(file.as_file(), &wishes).unwrap();
            written
        };
        (file, written)
    }

    #[test]
    fn an_image_is_written_sparse_and_checked_however_it_is_stored() {
        let mut full = vec![0_u8; 1 << 20];
        full[700_000] = 1;
        let (empty, tail) = (vec![0_u8; 1 << 20], vec![9_u8; 5000]);
        let (file, written) = write(&[&full, &empty, &empty, &full, &tail]);
        let whole = [&full[..], &empty, &empty, &full, &tail].concat();
        assert!(std::fs::read(file.path()).unwrap() == whole);
        assert_eq!(written.len, whole.len() as u64);
        let blocks = file.as_file().metadata().unwrap().blocks() * 512;
        assert!(blocks <= 128 << 10, "{blocks} bytes are in use");

        let mut seen = 0;
        assert_eq!(content_of(file.path(), |n| seen += n).unwrap(), written.content);
        assert_eq!(seen, written.len);
        let dense = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(dense.path(), &whole).unwrap();
        assert_eq!(content_of(dense.path(), |_| ()).unwrap(), written.content);
    }

    #[test]
    fn any_difference_is_seen() {
        let image: Vec<u8> = (0..300_000_u32).map(|i| (i / 1000) as u8).collect();
        let (file, written) = write(&[&image]);
        let differs = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut other = image.clone();
            change(&mut other);
            std::fs::write(file.path(), &other).unwrap();
            content_of(file.path(), |_| ()).unwrap() != written.content
        };
        assert!(!differs(&|_| ()));
        assert!(differs(&|i| i[0] = 1));
        assert!(differs(&|i| i[299_999] ^= 0x80));
        assert!(differs(&|i| i.push(0)));
        assert!(differs(&|i| i.truncate(299_999)));
        assert!(differs(&|i| i[65536..131_072].fill(0)));
        assert!(differs(&|i| i.rotate_left(65536)));
    }
}
