//! The raw image on the disk: without its zeros, past the page cache where that is possible, and with a
//! checksum of its content.

use std::fs::File;
use std::io;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::catalog::{Digest, Hasher};
use crate::disk::{FileDevice, ReadAt};
use crate::io::Direct;
use crate::io::chunk::{Chunk, GRAIN};

/// Begin to write to the disk after so many bytes, so that not all of it is left for the end.
const FLUSH_AFTER: u64 = 64 << 20;

/// The unit of [`Content`]: it is a part of the checksum's definition.
const BLOCK: usize = 64 * 1024;
// What a chunk calls data has no block that is all zeros.
const _: () = assert!(BLOCK as u64 == GRAIN);

/// A checksum of an image's content that costs little and is the same however its zeros are stored:
/// the SHA-256 over the position and the CRC-32C of every block of 64 KiB that is not all zeros, and
/// over the length. It is there to find accidental damage; deceit is the signed digest's matter.
#[derive(Default)]
pub(crate) struct Content {
    hasher: Hasher,
}

/// Names the scheme, so that another one can take its place.
const SCHEME: &str = "crc32c-64k";

impl Content {
    /// Takes the bytes from `offset` on, a multiple of 64 KiB, of which no block is all zeros. All but
    /// the image's last block are whole.
    pub(crate) fn update(&mut self, offset: u64, data: &[u8]) {
        let mut at = offset;
        for block in data.chunks(BLOCK) {
            self.hasher.update(&at.to_le_bytes());
            self.hasher.update(&crc32c::crc32c(block).to_le_bytes());
            at += block.len() as u64;
        }
    }

    pub(crate) fn finish(mut self, len: u64) -> String {
        self.hasher.update(&len.to_le_bytes());
        let digest: Digest = self.hasher.finish();
        format!("{SCHEME}:{digest}")
    }
}

/// Writes an image in order, leaving out what is zero.
pub(crate) struct Writer<'a> {
    file: &'a File,
    direct: Direct,
    content: Content,
    unflushed: u64,
    flusher: Sender<()>,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) len: u64,
    pub(crate) content: String,
}

impl<'a> Writer<'a> {
    /// Writes into `file`, which is empty. What the returned receiver is for: see [`flush`].
    pub(crate) fn new(file: &'a File) -> (Self, Receiver<()>) {
        let (flusher, requests) = bounded(1);
        (
            Self { file, direct: Direct::default(), content: Content::default(), unflushed: 0, flusher },
            requests,
        )
    }

    /// Writes what is not zero. Chunks come in order; those that are all zero may be left out.
    pub(crate) fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        for (offset, bytes) in chunk.extents() {
            self.direct.write(self.file, offset, bytes)?;
            self.content.update(offset, bytes);
            self.unflushed += bytes.len() as u64;
        }
        if self.unflushed >= FLUSH_AFTER {
            match self.flusher.try_send(()) {
                // still busy with the last time: it will do these as well
                Ok(()) | Err(TrySendError::Full(())) => self.unflushed = 0,
                Err(TrySendError::Disconnected(())) => return Err(io::Error::other("the flusher ended")),
            }
        }
        Ok(())
    }

    /// The image is whole and has `len` bytes.
    pub(crate) fn finish(self, len: u64) -> io::Result<Written> {
        self.file.set_len(len)?;
        self.file.sync_all()?;
        Ok(Written { len, content: self.content.finish(len) })
    }
}

/// Flushes whenever the writer asks for it, beside the writer, until the writer is gone.
pub(crate) fn flush(file: &File, requests: &Receiver<()>) -> io::Result<()> {
    requests.iter().try_for_each(|()| file.sync_data())
}

/// The checksum of a file, reading all of it that is not a hole. `seen` is told how many bytes are done.
pub(crate) fn content_of(path: &Path, mut seen: impl FnMut(u64)) -> io::Result<String> {
    let file = FileDevice::open(path)?;
    let data = file.data()?;
    let mut content = Content::default();
    seen(file.len() - data.total());
    for chunk in file.chunks(&data) {
        let chunk = chunk?;
        chunk.extents().for_each(|(offset, bytes)| content.update(offset, bytes));
        seen(chunk.covered());
    }
    Ok(content.finish(file.len()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::io::chunk::CHUNK;
    use crate::io::pool::BufferPool;

    fn write(image: &[u8]) -> (tempfile::NamedTempFile, Written) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pool = BufferPool::new(CHUNK, 1);
        let written = {
            let (mut writer, requests) = Writer::new(file.as_file());
            for (bytes, at) in image.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
                let mut buffer = pool.take();
                buffer[..bytes.len()].copy_from_slice(bytes);
                writer.write(&Chunk::filled(at, buffer, bytes.len())).unwrap();
            }
            let written = writer.finish(image.len() as u64).unwrap();
            flush(file.as_file(), &requests).unwrap();
            written
        };
        (file, written)
    }

    #[test]
    fn an_image_is_written_sparse_and_checked_however_it_is_stored() {
        let mut full = vec![0_u8; 1 << 20];
        full[700_000] = 1;
        let (empty, tail) = (vec![0_u8; 1 << 20], vec![9_u8; 5000]);
        let whole = [&full[..], &empty, &empty, &full, &tail].concat();
        let (file, written) = write(&whole);
        assert!(std::fs::read(file.path()).unwrap() == whole);
        assert_eq!(written.len, whole.len() as u64);
        let blocks = file.as_file().metadata().unwrap().blocks() * 512;
        assert!(blocks <= 256 << 10, "{blocks} bytes are in use");

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
        let (file, written) = write(&image);
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
