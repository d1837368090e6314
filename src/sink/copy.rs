//! Reading the base once for many files that are written at once. The slowest sets the pace.

use super::Error;
use super::source::Source;
use crate::io::CancelToken;
use crate::io::chunk::Chunk;
use crate::io::stream::{ImageStream, Subscriber};

/// How many chunks may wait to be written.
pub(super) const CHUNKS_WAITING: usize = 10;

/// Reads all of `source` for those who have subscribed to `image`.
pub(super) fn read(source: &Source, image: ImageStream, cancel: &CancelToken) -> Result<(), Error> {
    for chunk in source.chunks() {
        image.publish(chunk?, cancel)?;
    }
    image.finish(source.len());
    Ok(())
}

/// Feeds `each` with what comes. [`Error::Cancelled`] when the stream was broken off: then nothing
/// that was written may be kept.
pub(super) fn drain(
    image: &mut Subscriber,
    cancel: &CancelToken,
    mut each: impl FnMut(&Chunk) -> Result<(), Error>,
) -> Result<(), Error> {
    for chunk in image.by_ref() {
        cancel.check()?;
        each(&chunk)?;
    }
    image.whole().map(|_| ()).ok_or(Error::Cancelled)
}
