//! Hashing, decoding and writing an image at the same time.
//!
//! One thread reads and hashes the packed bytes, one decodes them (xz with helpers of its own) into
//! the chunks that everybody writes: one thread those of the cache, and whoever the observer starts.
//! Between them lie short queues, so that memory stays flat.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::error::{Broken, DecodeError, is_broken};
use super::format::{Format, HEAD};
use super::observer::ImageObserver;
use super::sparse::{self, Writer, Written};
use crate::base::Error;
use crate::catalog::{Digest, Hasher};
use crate::http::{self, space};
use crate::io::chunk::{CHUNK, Chunk};
use crate::io::pool::BufferPool;
use crate::io::stream::{Delivery, ImageStream, Subscriber};
use crate::io::{CancelToken, Cancelled, fill};

/// How many chunks may wait to be written: how far decoding may be ahead of the disk and of a slow card.
const CHUNKS_WAITING: usize = 8;
/// A piece of the packed image.
const PACKED_PIECE: usize = 256 << 10;
const PACKED_WAITING: usize = 16;

/// Where packed bytes come from.
pub(crate) trait Source {
    /// Fills some of `buf`; 0 at the end.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop>;

    /// Whether reading to the end costs little, so that the digest is worth knowing even where the
    /// content is known to be bad: it is, but of what still has to come from the network.
    fn is_cheap(&self) -> bool {
        true
    }
}

/// Why nothing came of it.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The source is another one now: begin anew.
    Restart,
    /// It failed.
    Failed(Error),
}

impl Stop {
    /// Of a source that is never another one.
    pub(crate) fn of_what_stays(self, name: &str) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Restart => Error::Worker { name: name.to_owned() },
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<http::Error> for Stop {
    fn from(error: http::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<http::Stop> for Stop {
    fn from(stop: http::Stop) -> Self {
        match stop {
            http::Stop::Restart => Self::Restart,
            http::Stop::Failed(error) => error.into(),
        }
    }
}

/// What came through.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) digest: Digest,
    pub(crate) packed_len: u64,
    pub(crate) raw: Written,
}

/// Where to and what for.
pub(crate) struct Job<'a> {
    /// What the image is called in errors.
    pub(crate) name: &'a str,
    /// The new file for the raw image, and its path.
    pub(crate) file: &'a File,
    pub(crate) path: &'a Path,
    /// Size of the raw image, where it is known.
    pub(crate) len_hint: Option<u64>,
    /// The most bytes that it may unpack to.
    pub(crate) limit: u64,
    /// What the packed bytes' digest must be.
    pub(crate) expected: Option<Digest>,
    /// Ends it.
    pub(crate) cancel: &'a CancelToken,
}

enum Packed {
    Data(Vec<u8>),
    End,
}

enum Decoded {
    Whole,
    Bad(DecodeError),
    System(io::Error),
    /// Somebody else failed and says why.
    Abandoned,
}

/// Runs `source` through to the file and to whatever `observer` writes. The file is whole and on the
/// disk afterwards.
///
/// # Errors
/// The first cause, not what followed from it.
pub(crate) fn run(
    job: &Job<'_>,
    source: &mut dyn Source,
    mut observer: Option<&mut dyn ImageObserver>,
) -> Result<Outcome, Stop> {
    let (to_decoder, packed) = bounded(PACKED_WAITING);
    let image = ImageStream::new(CHUNKS_WAITING);
    let for_writer = image.subscribe(Delivery::Every);
    if let Some(observer) = &mut observer {
        observer.begin(job.len_hint, &image);
    }
    // cancelled, too, when one part fails
    let cancel = &job.cancel.child();
    std::thread::scope(|scope| {
        let decoder = scope.spawn(move || decode(packed, image, job.limit, cancel));
        let (writer, flush_requests) = Writer::new(job.file);
        let flusher = scope.spawn(move || sparse::flush(job.file, &flush_requests));
        let writer = scope.spawn(move || write(writer, for_writer).inspect_err(|_| cancel.cancel()));

        let check = || {
            job.cancel.check()?;
            observer.as_ref().map_or(Ok(()), |observer| observer.check().map_err(Error::Observer))
        };
        let read = feed(source, to_decoder, &check).inspect_err(|_| cancel.cancel());
        let lost = |_| Error::Worker { name: job.name.to_owned() };
        let decoded = decoder.join().map_err(lost);
        let written = writer.join().map_err(lost);
        let flushed = flusher.join().map_err(lost);

        let (digest, packed_len) = read?;
        // whatever else failed, that is why
        check()?;
        let on_disk = |e| space::explain(e, "writing", job.path);
        flushed?.map_err(on_disk)?;
        let written = written?.map_err(on_disk)?;
        if let (Some(expected), Some(actual)) = (job.expected, digest)
            && expected != actual
        {
            return Err(Error::WrongDigest { name: job.name.to_owned(), expected, actual }.into());
        }
        let name = || job.name.to_owned();
        match (decoded?, digest, written) {
            (Decoded::Whole, Some(digest), Some(raw)) => Ok(Outcome { digest, packed_len, raw }),
            (Decoded::Bad(source), ..) => Err(Error::Decode { name: name(), source }.into()),
            (Decoded::System(e), ..) => {
                Err(Error::Io { doing: format!("decompressing {}", name()), source: e }.into())
            }
            _ => Err(Error::Worker { name: name() }.into()),
        }
    })
}

/// The digest of a source that is only read.
pub(crate) fn hash(source: &mut dyn Source, cancel: &CancelToken) -> Result<Digest, Stop> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 4 * PACKED_PIECE];
    loop {
        cancel.check().map_err(Error::from)?;
        match source.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Reads all of the source; the digest is there only if it was read to its end.
fn feed(
    source: &mut dyn Source,
    to_decoder: Sender<Packed>,
    check: &dyn Fn() -> Result<(), Error>,
) -> Result<(Option<Digest>, u64), Stop> {
    let mut hasher = Hasher::default();
    let mut len = 0;
    let mut to_decoder = Some(to_decoder);
    loop {
        let mut buffer = vec![0; PACKED_PIECE];
        // small pieces, as networks bring them, are gathered
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
            check()?;
            match source.read(rest)? {
                0 => break,
                n => filled += n,
            }
        }
        buffer.truncate(filled);
        hasher.update(&buffer);
        len += filled as u64;
        let ended = filled < PACKED_PIECE;
        if let Some(sender) = &to_decoder
            && sender.send(Packed::Data(buffer)).is_err()
        {
            to_decoder = None;
            if !source.is_cheap() {
                return Ok((None, len));
            }
        }
        if ended {
            if let Some(sender) = to_decoder {
                // nobody there to hear of the end is as good as the end
                let _ = sender.send(Packed::End);
            }
            return Ok((Some(hasher.finish()), len));
        }
    }
}

fn decode(packed: Receiver<Packed>, image: ImageStream, limit: u64, cancel: &CancelToken) -> Decoded {
    match try_decode(packed, image, limit, cancel) {
        Ok(whole) => whole,
        Err(e) if is_broken(&e) => Decoded::Abandoned,
        Err(e) => match e.get_ref().and_then(|e| e.downcast_ref::<DecodeError>()) {
            Some(known) => Decoded::Bad(known.clone()),
            None => Decoded::System(e),
        },
    }
}

fn try_decode(
    packed: Receiver<Packed>,
    image: ImageStream,
    limit: u64,
    cancel: &CancelToken,
) -> io::Result<Decoded> {
    let mut queue = Queue { packed, current: Vec::new(), used: 0, ended: false };
    let format = Format::detect(queue.head()?)?;
    let mut raw = format.reader(queue)?;
    let pool = BufferPool::new(CHUNK, CHUNKS_WAITING);
    let mut offset = 0;
    loop {
        let mut buffer = pool.take();
        let filled = fill(&mut raw, &mut buffer)?;
        if filled > 0 {
            let chunk = Chunk::filled(offset, buffer, filled);
            offset += filled as u64;
            if offset > limit {
                return Err(DecodeError::TooLarge(limit).into());
            }
            let goes_on = if chunk.is_zero() { cancel.check() } else { image.publish(chunk, cancel) };
            if let Err(Cancelled) = goes_on {
                return Ok(Decoded::Abandoned);
            }
        }
        if filled < CHUNK {
            image.finish(offset);
            return Ok(Decoded::Whole);
        }
    }
}

/// Nothing where the image never became whole: then its bytes need not get to the disk.
fn write(mut writer: Writer<'_>, mut image: Subscriber) -> io::Result<Option<Written>> {
    image.by_ref().try_for_each(|chunk| writer.write(&chunk))?;
    image.whole().map(|len| writer.finish(len)).transpose()
}

/// The packed bytes as the decoders want them.
struct Queue {
    packed: Receiver<Packed>,
    current: Vec<u8>,
    used: usize,
    ended: bool,
}

impl Queue {
    /// The first bytes, up to [`HEAD`], without taking them. The feeder gathers far more into one piece.
    fn head(&mut self) -> io::Result<&[u8]> {
        let all = self.fill_buf()?;
        Ok(all.get(..HEAD.min(all.len())).unwrap_or_default())
    }
}

impl BufRead for Queue {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used >= self.current.len() && !self.ended {
            match self.packed.recv() {
                Ok(Packed::Data(data)) => (self.current, self.used) = (data, 0),
                Ok(Packed::End) => self.ended = true,
                // the feeder went away without saying that this is the end
                Err(_) => return Err(io::Error::other(Broken)),
            }
        }
        Ok(self.current.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Queue {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut here = self.fill_buf()?;
        let n = here.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}
