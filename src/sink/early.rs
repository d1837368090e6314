//! Writing the first images while the base is still being decoded.
//!
//! What is written here is the base's bytes before anyone has checked them: it stays under
//! temporary names until [`Early::finish`] is called, which a build does only when the base has
//! been verified. Where images can be clones of the cached base there is nothing to win, and no
//! room is taken for it. If it fails, nothing is lost: the images are copied from the cache.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::assemble::Assembler;
use super::copy::{Fan, RING, Ring, Stop, drain};
use super::image::Image;
use super::temp::Temp;
use super::{Error, Format, room};
use crate::base::Tap;

/// What an image may come to where its size is not known beforehand: twice that of Ubuntu's.
const ASSUMED_LEN: u64 = 7 << 30;

/// Writes what a decoder shows it into the temporary files of the first images.
pub(super) struct Early {
    dir: PathBuf,
    /// File names of the images, as many as may be written at once.
    names: Vec<String>,
    cache: PathBuf,
    stop: Arc<Stop>,
    running: Option<Running>,
    fault: Option<io::Error>,
}

struct Running {
    fan: Fan,
    windows: Assembler,
    writers: Vec<JoinHandle<Result<Image, Error>>>,
}

impl Early {
    /// Will write the images `names` in `dir` while the base is being put into `cache`.
    pub fn new(dir: &Path, names: Vec<String>, cache: &Path, stop: Arc<Stop>) -> Self {
        Self { dir: dir.to_owned(), names, cache: cache.to_owned(), stop, running: None, fault: None }
    }

    fn begin_again(&mut self, len_hint: Option<u64>) {
        self.abandon();
        self.fault = None;
        match self.start(len_hint) {
            Ok(running) => self.running = running,
            Err(e) => self.fault = Some(e),
        }
    }

    fn start(&self, len_hint: Option<u64>) -> io::Result<Option<Running>> {
        let len = len_hint.unwrap_or(ASSUMED_LEN).max(1);
        let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev());
        // The cache itself comes first.
        let cached = if device(&self.dir)? == device(&self.cache)? { len } else { 0 };
        let fit = room::free(&self.dir)?.saturating_sub(cached) / len;
        let count = self.names.len().min(usize::try_from(fit).unwrap_or(usize::MAX));
        if count == 0 {
            return Ok(None);
        }
        let (fan, streams) = Fan::new(count);
        let mut writers = Vec::with_capacity(count);
        for (name, stream) in self.names.iter().zip(streams) {
            let mut image = Image::new(Temp::new(&self.dir, name)?);
            if let Some(len) = len_hint {
                image.set_len(len)?;
            }
            let stop = Arc::clone(&self.stop);
            writers.push(std::thread::Builder::new().name(name.clone()).spawn(move || {
                let target = image.target().to_owned();
                drain(&stream, &stop, |chunk| {
                    image.chunk(chunk).map_err(|source| Error::Write { path: target.clone(), source })
                })?;
                Ok(image)
            })?);
        }
        Ok(Some(Running { fan, windows: Assembler::new(Ring::new(RING)), writers }))
    }

    /// An error says that the user asked for the end; faults of the writing only end the writing.
    fn feed(&mut self, offset: u64, len: u64, feed: impl FnOnce(&mut Running) -> bool) -> io::Result<()> {
        if self.stop.is_asked() {
            self.abandon();
            return Err(io::Error::new(io::ErrorKind::Interrupted, Error::Cancelled));
        }
        let Some(running) = &mut self.running else { return Ok(()) };
        let in_order = offset == running.windows.position() && offset.checked_add(len).is_some();
        if !in_order || !feed(running) {
            self.abandon();
        }
        Ok(())
    }

    /// Gives up what was written; the temporary files are gone afterwards.
    pub fn abandon(&mut self) {
        if let Some(running) = self.running.take() {
            self.fault = running.break_off();
        }
    }

    /// The images that hold all `len` bytes of the base, which was verified; and why there are
    /// none, if writing them failed.
    pub fn finish(mut self, len: u64) -> (Vec<Image>, Option<io::Error>) {
        let Some(mut running) = self.running.take() else { return (Vec::new(), self.fault.take()) };
        if running.windows.position() != len || !running.flush() {
            return (Vec::new(), running.break_off());
        }
        let Running { fan, writers, .. } = running;
        // A writer that has given up says why itself.
        let _ = fan.end();
        let joined: Vec<_> = writers.into_iter().map(join).collect();
        let sized = joined.into_iter().map(|image| {
            let image = image?;
            image.set_len(len)?;
            Ok(image)
        });
        match sized.collect::<io::Result<Vec<_>>>() {
            Ok(images) => (images, None),
            Err(e) => (Vec::new(), Some(e)),
        }
    }
}

impl Tap for Early {
    fn begin(&mut self, len_hint: Option<u64>) {
        self.begin_again(len_hint);
    }

    fn chunk(&mut self, offset: u64, data: &Arc<[u8]>) -> io::Result<()> {
        self.feed(offset, data.len() as u64, |running| running.data(data))
    }

    fn hole(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.feed(offset, len, |running| running.zeros(len))
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.abandon();
    }
}

fn join(writer: JoinHandle<Result<Image, Error>>) -> io::Result<Image> {
    match writer.join() {
        Ok(Ok(image)) => Ok(image),
        Ok(Err(Error::Write { source, .. })) => Err(source),
        Ok(Err(e)) => Err(io::Error::other(e)),
        Err(_) => Err(io::Error::other("a writer ended unexpectedly")),
    }
}

impl Running {
    /// Takes data; false if a writer has given up.
    fn data(&mut self, data: &[u8]) -> bool {
        self.windows.data(data, |chunk| self.fan.send(chunk))
    }

    /// Takes zeros; false if a writer has given up.
    fn zeros(&mut self, len: u64) -> bool {
        self.windows.zeros(len, |chunk| self.fan.send(chunk))
    }

    /// Sends what the last window holds.
    fn flush(&mut self) -> bool {
        self.windows.flush(|chunk| self.fan.send(chunk))
    }

    /// Ends the writers; the fault of the first that had one.
    fn break_off(self) -> Option<io::Error> {
        drop(self.fan);
        let ends = self.writers.into_iter().map(JoinHandle::join);
        ends.fold(None, |fault, end| {
            fault.or(match end {
                Ok(Err(Error::Write { source, .. })) => Some(source),
                _ => None,
            })
        })
    }
}

/// Whether writing early is worth it: not where images in `dir` can share the blocks of `cache`.
pub(super) fn is_worth_it(format: Format, cache: &Path, dir: &Path) -> bool {
    // When that cannot be found out, the build finds out why and says so.
    format == Format::Raw && matches!(super::image::could_clone(cache, dir), Ok(false))
}
