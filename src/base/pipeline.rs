//! Hashing, decoding, writing and showing an image at the same time.
//!
//! One thread reads and hashes the packed bytes, one unpacks them (xz with helpers of its own), one
//! writes the raw image, one shows it to the tap. Between them lie short queues, so that memory stays
//! flat and the slowest sets the pace. Of the raw image there are never more than the queues' pieces.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::decode::{self, Broken, DecodeError, Format, HEAD};
use super::digest::{Digest, Hasher};
use super::options::go_on;
use super::sparse::{self, Writer, Written};
use super::tap::Tap;
use super::{Error, space, zero};

/// A piece of the raw image, a multiple of every block size.
const PIECE: usize = 1 << 20;
/// How many pieces may wait for the writer or the tap: how far unpacking may be ahead of a slow one.
const PIECES_WAITING: usize = 32;
/// Zeros that are handed out at once. Unpacking them takes a third of a second on two processors: so
/// long nobody hears that somebody has given up.
const MOST_ZEROS: u64 = 256 << 20;
/// A piece of the packed image.
const PACKED_PIECE: usize = 256 << 10;
const PACKED_WAITING: usize = 16;

/// Where packed bytes come from.
pub(super) trait Source {
    /// Fills some of `buf`; 0 at the end.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop>;

    /// Whether reading to the end costs little, so that the digest is worth knowing even where the
    /// content is known to be bad.
    fn is_cheap(&self) -> bool;
}

/// Why nothing came of it.
#[derive(Debug)]
pub(super) enum Stop {
    /// The source is another one now: begin anew.
    Restart,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What came through.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) digest: Digest,
    pub(super) packed_len: u64,
    pub(super) raw: Written,
}

/// Where to and what for.
pub(super) struct Job<'a> {
    /// What the image is called in errors.
    pub(super) name: &'a str,
    /// The new file for the raw image, and its path.
    pub(super) file: &'a File,
    pub(super) path: &'a Path,
    /// Size of the raw image, where it is known.
    pub(super) len_hint: Option<u64>,
    /// The most bytes that it may unpack to.
    pub(super) limit: u64,
    /// What the packed bytes' digest must be.
    pub(super) expected: Option<Digest>,
    /// Becomes true where nobody wants it any more.
    pub(super) cancel: &'a AtomicBool,
}

enum Packed {
    Data(Vec<u8>),
    End,
}

#[derive(Clone)]
enum Piece {
    Data(u64, Arc<[u8]>),
    Hole(u64, u64),
    /// The image is whole. Without it the pieces just end where something failed.
    End,
}

enum Unpacked {
    Whole,
    Bad(DecodeError),
    System(io::Error),
    /// Somebody else failed and says why.
    Abandoned,
}

/// Runs `source` through to the file and the tap. The file is whole and on the disk afterwards.
///
/// # Errors
/// The first cause, not what followed from it.
pub(super) fn run(
    job: &Job<'_>,
    source: &mut dyn Source,
    tap: Option<&mut dyn Tap>,
) -> Result<Outcome, Stop> {
    let (to_decoder, packed) = bounded(PACKED_WAITING);
    let (to_writer, for_writer) = bounded(PIECES_WAITING);
    let (to_tap, for_tap) = bounded(PIECES_WAITING);
    let has_tap = tap.is_some();
    std::thread::scope(|scope| {
        let outputs = if has_tap { vec![to_writer, to_tap] } else { vec![to_writer] };
        let decoder = scope.spawn(move || unpack(packed, job.limit, &outputs));
        let (writer, wishes) = Writer::new(job.file);
        let flusher = scope.spawn(move || sparse::flush(job.file, &wishes));
        let writer = scope.spawn(move || write(writer, &for_writer));
        let tap = tap.map(|tap| scope.spawn(move || show(tap, job.len_hint, &for_tap)));

        let read = feed(source, to_decoder, job.cancel);
        let lost = |_| Error::Worker { name: job.name.to_owned() };
        let unpacked = decoder.join().map_err(lost);
        let written = writer.join().map_err(lost);
        let flushed = flusher.join().map_err(lost);
        let shown = tap.map_or(Ok(Ok(())), |t| t.join().map_err(lost));

        let (digest, packed_len) = read?;
        // whatever else failed, that is why
        go_on(job.cancel)?;
        shown?.map_err(Error::Tap)?;
        let on_disk = |e| space::explain(e, "writing", job.path);
        flushed?.map_err(on_disk)?;
        let written = written?.map_err(on_disk)?;
        if let (Some(expected), Some(actual)) = (job.expected, digest)
            && expected != actual
        {
            return Err(Error::WrongDigest { name: job.name.to_owned(), expected, actual }.into());
        }
        let name = || job.name.to_owned();
        match (unpacked?, digest, written) {
            (Unpacked::Whole, Some(digest), Some(raw)) => Ok(Outcome { digest, packed_len, raw }),
            (Unpacked::Bad(source), ..) => Err(Error::Decode { name: name(), source }.into()),
            (Unpacked::System(e), ..) => {
                Err(Error::Io { doing: format!("decompressing {}", name()), source: e }.into())
            }
            _ => Err(Error::Worker { name: name() }.into()),
        }
    })
}

/// Reads all of the source; the digest is there only if it was read to its end.
fn feed(
    source: &mut dyn Source,
    to_decoder: Sender<Packed>,
    cancel: &AtomicBool,
) -> Result<(Option<Digest>, u64), Stop> {
    let mut hasher = Hasher::default();
    let mut len = 0;
    let mut to_decoder = Some(to_decoder);
    loop {
        let mut buffer = vec![0; PACKED_PIECE];
        // small pieces, as networks bring them, are gathered
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
            go_on(cancel)?;
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

fn unpack(packed: Receiver<Packed>, limit: u64, outputs: &[Sender<Piece>]) -> Unpacked {
    match try_unpack(packed, limit, outputs) {
        Ok(whole) => whole,
        Err(e) if decode::is_broken(&e) => Unpacked::Abandoned,
        Err(e) => match e.get_ref().and_then(|e| e.downcast_ref::<DecodeError>()) {
            Some(known) => Unpacked::Bad(known.clone()),
            None => Unpacked::System(e),
        },
    }
}

fn try_unpack(packed: Receiver<Packed>, limit: u64, outputs: &[Sender<Piece>]) -> io::Result<Unpacked> {
    let mut queue = Queue { packed, current: Vec::new(), used: 0, ended: false };
    let format = Format::detect(queue.head()?)?;
    let mut raw = format.reader(queue)?;
    let mut pool = Pool::default();
    let mut outlet = Outlet { outputs, passed: 0, zeros: 0 };
    loop {
        let mut slot = pool.take();
        // nobody else has it: that is how the pool chose it
        let Some(buffer) = Arc::get_mut(&mut slot) else { return Ok(Unpacked::Abandoned) };
        let filled = fill(&mut raw, buffer)?;
        let Some(data) = buffer.get(..filled) else { return Ok(Unpacked::Abandoned) };
        if filled == 0 {
            outlet.end();
            return Ok(Unpacked::Whole);
        }
        if outlet.len().saturating_add(filled as u64) > limit {
            return Err(DecodeError::TooLarge(limit).into());
        }
        let is_taken = if zero::is_zero(data) {
            outlet.zeros(filled as u64)
        } else if filled == PIECE {
            outlet.data(Arc::clone(&slot))
        } else {
            outlet.data(Arc::from(data))
        };
        pool.give_back(slot);
        if !is_taken {
            return Ok(Unpacked::Abandoned);
        }
    }
}

/// Hands out what was unpacked. Zeros that follow each other are one piece, with one place in the
/// queues: who is slow with the data does not hold up the unpacking of the zeros behind them.
struct Outlet<'a> {
    outputs: &'a [Sender<Piece>],
    /// How much was handed out.
    passed: u64,
    /// How many zeros come next.
    zeros: u64,
}

impl Outlet<'_> {
    /// How much was taken.
    fn len(&self) -> u64 {
        self.passed.saturating_add(self.zeros)
    }

    /// Takes data; false where somebody has given up.
    fn data(&mut self, data: Arc<[u8]>) -> bool {
        if !self.pass_zeros() {
            return false;
        }
        let offset = self.passed;
        self.passed += data.len() as u64;
        self.send(&Piece::Data(offset, data))
    }

    /// Takes zeros; false where somebody has given up.
    fn zeros(&mut self, len: u64) -> bool {
        self.zeros += len;
        self.zeros < MOST_ZEROS || self.pass_zeros()
    }

    fn end(&mut self) {
        // who is no longer there to hear of the end has an error of its own to tell
        let _ = self.pass_zeros();
        self.outputs.iter().for_each(|o| drop(o.send(Piece::End)));
    }

    fn pass_zeros(&mut self) -> bool {
        let (offset, len) = (self.passed, std::mem::take(&mut self.zeros));
        self.passed += len;
        len == 0 || self.send(&Piece::Hole(offset, len))
    }

    fn send(&self, piece: &Piece) -> bool {
        self.outputs.iter().all(|o| o.send(piece.clone()).is_ok())
    }
}

/// Reads until `buffer` is full or the end is there.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Nothing where the image never became whole: then its bytes need not get to the disk.
fn write(mut writer: Writer<'_>, pieces: &Receiver<Piece>) -> io::Result<Option<Written>> {
    for piece in pieces {
        match piece {
            Piece::Data(_, data) => writer.write(&data)?,
            Piece::Hole(_, len) => writer.skip(len),
            Piece::End => return writer.finish().map(Some),
        }
    }
    Ok(None)
}

fn show(tap: &mut dyn Tap, len_hint: Option<u64>, pieces: &Receiver<Piece>) -> io::Result<()> {
    tap.begin(len_hint);
    pieces.iter().try_for_each(|piece| match piece {
        Piece::Data(offset, data) => tap.chunk(offset, &data),
        Piece::Hole(offset, len) => tap.hole(offset, len),
        Piece::End => Ok(()),
    })
}

/// Buffers that are used again once everybody has let go of them. There are as many as can be in the
/// queues and in the hands of the writer and the tap.
#[derive(Default)]
struct Pool(Vec<Arc<[u8]>>);

impl Pool {
    /// A buffer that nobody else has.
    fn take(&mut self) -> Arc<[u8]> {
        let free = self.0.iter_mut().position(|b| Arc::get_mut(b).is_some());
        free.map_or_else(|| Arc::from(vec![0; PIECE]), |index| self.0.swap_remove(index))
    }

    /// Takes it back to wait until the others have let go of it.
    fn give_back(&mut self, buffer: Arc<[u8]>) {
        self.0.push(buffer);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_that_follow_each_other_take_one_place() {
        let (sender, pieces) = bounded(3);
        let outputs = [sender];
        let mut outlet = Outlet { outputs: &outputs, passed: 0, zeros: 0 };
        let data: Arc<[u8]> = Arc::from(vec![1; 4096]);
        assert!(outlet.zeros(10) && outlet.zeros(20) && pieces.is_empty());
        assert!(outlet.data(Arc::clone(&data)));
        assert!(matches!(pieces.recv(), Ok(Piece::Hole(0, 30))));
        assert!(matches!(pieces.recv(), Ok(Piece::Data(30, bytes)) if bytes == data));
        assert!(outlet.data(data) && matches!(pieces.recv(), Ok(Piece::Data(4126, _))));
        // not without an end
        assert!(outlet.zeros(MOST_ZEROS - 1) && pieces.is_empty());
        assert!(outlet.zeros(5) && outlet.zeros(7));
        assert!(matches!(pieces.recv(), Ok(Piece::Hole(8222, len)) if len == MOST_ZEROS + 4));
        outlet.end();
        let behind = 8222 + MOST_ZEROS + 4;
        assert!(matches!(pieces.recv(), Ok(Piece::Hole(offset, 7)) if offset == behind));
        assert!(matches!(pieces.recv(), Ok(Piece::End)));
        drop(pieces);
        assert!(outlet.zeros(1) && !outlet.data(Arc::from([1])));
    }
}
