//! What an image is packed with, and a reader for each way.

use std::io::{self, BufRead, Read};

use super::error::{DecodeError, is_broken};
use super::xz;
use crate::http::is_web_page;
use crate::io::magic::Wrapping;

/// How an image is packed. Seen by its first bytes, whatever its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    Raw,
    /// `xz`, as Ubuntu publishes.
    Xz,
    /// Zstandard.
    Zst,
    /// `gzip`.
    Gz,
}

/// How many bytes [`Format::detect`] wants to see: a whole boot sector.
pub(crate) const HEAD: usize = 512;

/// A Zstandard frame may ask for a window of up to 2^this bytes: what `zstd --long` makes.
const ZST_WINDOW_LOG: u32 = 27;

impl Format {
    /// What a file is that starts with `head`, of which there should be [`HEAD`] bytes.
    pub(crate) fn detect(head: &[u8]) -> Result<Self, DecodeError> {
        match Wrapping::of(head) {
            Some(Wrapping::Xz) => Ok(Self::Xz),
            Some(Wrapping::Zst) => Ok(Self::Zst),
            Some(Wrapping::Gz) => Ok(Self::Gz),
            Some(other) => Err(DecodeError::Unsupported(other.words().0)),
            None if head.is_empty() => Err(DecodeError::Empty),
            None if is_web_page(head) => Err(DecodeError::WebPage),
            // the signature of a boot sector, which a GPT's protective MBR has as well
            None if head.get(510..512) == Some(&[0x55, 0xaa]) => Ok(Self::Raw),
            None => Err(DecodeError::Unknown(
                head.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "),
            )),
        }
    }

    /// A reader of the raw image. Its errors are [`DecodeError`]s inside [`io::Error`]s, or what
    /// reading `packed` answers.
    pub(crate) fn reader<'a, R: BufRead + 'a>(self, packed: R) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Raw => Box::new(packed),
            Self::Xz => Box::new(Typed { inner: xz::Reader::new(packed)?, done: 0 }),
            Self::Gz => Box::new(Typed { inner: flate2::bufread::MultiGzDecoder::new(packed), done: 0 }),
            Self::Zst => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZST_WINDOW_LOG)?;
                Box::new(Typed { inner: decoder, done: 0 })
            }
        })
    }
}

/// Turns the errors of different decoders into [`DecodeError`]s that say where.
struct Typed<R> {
    inner: R,
    done: u64,
}

impl<R: Read> Read for Typed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf) {
            Ok(n) => {
                self.done += n as u64;
                Ok(n)
            }
            Err(e) => Err(typed(e, self.done)),
        }
    }
}

/// The source's own failures pass through: [`Broken`](super::error::Broken) marks them.
fn typed(error: io::Error, done: u64) -> io::Error {
    if error.kind() == io::ErrorKind::Interrupted || is_broken(&error) {
        return error;
    }
    if let Some(known) = error.get_ref().and_then(|e| e.downcast_ref::<DecodeError>()) {
        return match known {
            DecodeError::Truncated(_) => DecodeError::Truncated(done).into(),
            DecodeError::Corrupt(what, _) => DecodeError::Corrupt(what.clone(), done).into(),
            other => other.clone().into(),
        };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DecodeError::Truncated(done).into(),
        _ if error.to_string().contains("requires too much memory") => {
            DecodeError::Memory(1 << (ZST_WINDOW_LOG - 20)).into()
        }
        _ => DecodeError::Corrupt(error.to_string(), done).into(),
    }
}
