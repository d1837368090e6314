//! xz, on all processors.

use std::io::{self, BufRead, Read};

use liblzma::stream::{Action, MtStreamBuilder, Status, Stream};

use super::DecodeError;

/// Up to here further threads are used: Ubuntu's blocks of 1 MiB take about 3 MiB a thread, those of
/// `xz -T0 -6` 24 MiB of block and 8 MiB of dictionary.
const MEMORY_FOR_THREADS: u64 = 96 << 20;

/// More than `xz -9` needs (65 MiB) on one thread.
const MEMORY: u64 = 160 << 20;

/// What follows a stream's end is zeros in fours ("The .xz File Format" 2.2).
const PADDING: u64 = 4;

/// Decodes one or more concatenated streams with padding between and behind them, as the format
/// allows; liblzma's threaded decoder knows one stream alone.
pub(crate) struct Reader<R> {
    packed: R,
    stream: Option<Stream>,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(packed: R) -> io::Result<Self> {
        Ok(Self { packed, stream: Some(stream()?) })
    }

    /// Skips the padding after a stream; whether another one follows.
    fn next_stream(&mut self) -> io::Result<bool> {
        let mut zeros: u64 = 0;
        loop {
            let head = self.packed.fill_buf()?;
            let here = head.iter().take_while(|b| **b == 0).count();
            let (ends, len) = (here < head.len(), head.len());
            self.packed.consume(here);
            zeros += here as u64;
            if len == 0 || ends {
                if !zeros.is_multiple_of(PADDING) {
                    return Err(corrupt("the padding after the data is not a multiple of four bytes"));
                }
                return Ok(ends);
            }
        }
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(stream) = self.stream.as_mut() else { return Ok(0) };
            let packed = self.packed.fill_buf()?;
            let ended = packed.is_empty();
            let (before_in, before_out) = (stream.total_in(), stream.total_out());
            let action = if ended { Action::Finish } else { Action::Run };
            let status = stream.process(packed, buf, action);
            let read = usize::try_from(stream.total_in() - before_in).unwrap_or(usize::MAX);
            let written = usize::try_from(stream.total_out() - before_out).unwrap_or(usize::MAX);
            self.packed.consume(read);
            match status.map_err(fault)? {
                Status::StreamEnd => {
                    self.stream = None;
                    if self.next_stream()? {
                        self.stream = Some(self::stream()?);
                    }
                }
                // no progress is possible: at the end of the input that means that some is missing
                Status::MemNeeded if ended && written == 0 => return Err(DecodeError::Truncated(0).into()),
                _ => {}
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

fn stream() -> io::Result<Stream> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    MtStreamBuilder::new()
        .threads(u32::try_from(threads).unwrap_or(1))
        .memlimit_threading(MEMORY_FOR_THREADS)
        .memlimit_stop(MEMORY)
        .decoder()
        .map_err(fault)
}

fn corrupt(what: &str) -> io::Error {
    DecodeError::Corrupt(what.to_owned(), 0).into()
}

fn fault(error: liblzma::stream::Error) -> io::Error {
    use liblzma::stream::Error as E;
    match error {
        E::MemLimit => DecodeError::Memory(MEMORY >> 20).into(),
        E::Mem => io::ErrorKind::OutOfMemory.into(),
        E::Data => corrupt("the compressed data is corrupt"),
        E::Format => corrupt("what follows is not in xz's format"),
        E::Options => corrupt("it uses a part of xz's format that is not known"),
        other => corrupt(&other.to_string()),
    }
}
