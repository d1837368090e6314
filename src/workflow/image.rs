//! An image that somebody named, in any form that a build writes, or a card: raw, qcow2, or compressed.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Control;
use super::scratch::Scratch;
use crate::base::{Cache, Format};
use crate::disk::{Qcow2, ReadAt};
use crate::error::{Doing, DoingAs, ErrorClass, Failure};
use crate::image_reader::ImageReader;
use crate::io::chunk::GRAIN;
use crate::io::magic::Wrapping;
use crate::io::{AtomicFile, CancelToken, fill, is_zero};
use crate::progress::Step;

/// No card is larger: the most that SDXC has (SD Association, Physical Layer 3.01), 2 TiB.
const LARGEST: u64 = 2 << 40;
/// So much is read of a packed file at once.
const PIECE: usize = 1 << 20;

/// An image to look into.
pub struct Looked {
    /// Its partitions and files.
    pub image: ImageReader,
    _scratch: Option<Scratch>,
}

impl Looked {
    /// One that is there as long as what it is opened from.
    #[must_use]
    pub fn of(image: ImageReader) -> Self {
        Self { image, _scratch: None }
    }
}

/// A raw file that holds the bytes of an image, for as long as this lives.
pub struct Raw {
    path: PathBuf,
    _scratch: Option<Scratch>,
}

impl Raw {
    /// The raw file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the image or device at `path` for looking into it. What is compressed is unpacked into the cache's folder
/// for as long as it is looked at.
///
/// # Errors
/// Where it cannot be opened or unpacked, or has no partitions.
pub fn look(path: &Path, control: &Control) -> Result<Looked, Failure> {
    if wrapping(path)? == Some(Wrapping::Qcow2) {
        let device = Qcow2::open(path).map_err(|source| Failure::of_named(source, opening(path)))?;
        return Ok(Looked { image: ImageReader::of(Arc::new(device))?, _scratch: None });
    }
    let Raw { path, _scratch } = raw(path, control)?;
    Ok(Looked { image: ImageReader::open(&path)?, _scratch })
}

/// The image at `path` as a raw file: itself where it is one, else one in the cache's folder that goes with what is
/// returned.
///
/// # Errors
/// Where it cannot be opened or unpacked.
pub fn raw(path: &Path, control: &Control) -> Result<Raw, Failure> {
    if !is_packed(path)? {
        return Ok(Raw { path: path.to_owned(), _scratch: None });
    }
    let scratch = Scratch::new(&Cache::default_dir()?.join("unpacked"), control)?;
    Ok(Raw { path: raw_within(path, scratch.path(), control)?, _scratch: Some(scratch) })
}

/// As [`raw`], in the folder `dir`, where it stays and is found again as long as the image is the same.
///
/// # Errors
/// As [`raw`].
pub fn raw_within(path: &Path, dir: &Path, control: &Control) -> Result<PathBuf, Failure> {
    let Some(wrapping) = wrapping(path)?.filter(|_| is_packed(path).unwrap_or(false)) else {
        return Ok(path.to_owned());
    };
    let found = path.metadata().map_err(|source| Failure::of_named(source, opening(path)))?;
    let mut hasher = DefaultHasher::new();
    (found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()).hash(&mut hasher);
    let name = format!("{:016x}.img", hasher.finish());
    let unpacked = dir.join(&name);
    if unpacked.exists() {
        return Ok(unpacked);
    }
    let unpacking = || format!("unpacking {}", path.display());
    let file = AtomicFile::within(dir, name.as_str()).doing(unpacking)?;
    let step = control.progress().begin(&unpacking(), Some(found.len()));
    let step = &*step;
    let cancel = control.cancel();
    let done = match wrapping {
        Wrapping::Qcow2 => {
            let device = Qcow2::open(path).map_err(|source| Failure::of_named(source, opening(path)))?;
            step.set_total(device.len());
            let reader = Progressing { inner: Sequential { device: &device, at: 0 }, step, cancel };
            sparse(&mut BufReader::with_capacity(PIECE, reader), file.file())
        }
        wrapping => {
            let file_read = File::open(path).map_err(|source| Failure::of_named(source, opening(path)))?;
            let packed = BufReader::with_capacity(PIECE, Progressing { inner: file_read, step, cancel });
            let reader = match wrapping {
                Wrapping::Xz => Format::Xz,
                Wrapping::Zst => Format::Zst,
                _ => Format::Gz,
            }
            .reader(packed);
            reader.map_err(Fault::Read).and_then(|mut reader| sparse(&mut reader, file.file()))
        }
    };
    cancel.check().doing(unpacking)?;
    match done {
        Ok(()) => {}
        Err(Fault::Write(source)) => {
            return Err(Failure::of_io(source, format!("{} into {}", unpacking(), dir.display())));
        }
        Err(Fault::Read(source)) => return Err(source).doing_as(ErrorClass::Damaged, unpacking),
    }
    step.finish();
    file.keep().doing(unpacking)?;
    Ok(unpacked)
}

fn opening(path: &Path) -> String {
    format!("opening {}", path.display())
}

/// What the file is wrapped in; a drive is not looked at twice.
fn wrapping(path: &Path) -> Result<Option<Wrapping>, Failure> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut head));
    read.map_err(|source| Failure::of_named(source, opening(path)))?;
    Ok(Wrapping::of(&head))
}

/// Whether the image at `path` is in a form that is read, and that is not raw.
///
/// # Errors
/// Where it cannot be opened.
pub fn is_packed(path: &Path) -> Result<bool, Failure> {
    let unpacked_here = [Wrapping::Xz, Wrapping::Zst, Wrapping::Gz, Wrapping::Qcow2];
    Ok(wrapping(path)?.is_some_and(|wrapping| unpacked_here.contains(&wrapping)))
}

/// On which side copying failed.
enum Fault {
    Read(io::Error),
    Write(io::Error),
}

/// Writes what `from` has to `to`, with holes where there are zeros.
fn sparse(from: &mut dyn Read, to: &File) -> Result<(), Fault> {
    let mut grain = vec![0; GRAIN as usize];
    let mut at = 0;
    loop {
        let filled = fill(from, &mut grain).map_err(Fault::Read)?;
        let bytes = grain.get(..filled).unwrap_or_default();
        if !is_zero(bytes) {
            to.write_all_at(bytes, at).map_err(Fault::Write)?;
        }
        at += filled as u64;
        if at > LARGEST {
            let text = "it unpacks to more than any card holds";
            return Err(Fault::Read(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        if filled < grain.len() {
            return to.set_len(at).map_err(Fault::Write);
        }
    }
}

/// A reader that tells how far it is, and ends when the run does.
struct Progressing<'a, R> {
    inner: R,
    step: &'a dyn Step,
    cancel: &'a CancelToken,
}

impl<R: Read> Read for Progressing<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let n = self.inner.read(buf)?;
        self.step.advance(n as u64);
        Ok(n)
    }
}

/// A block device from begin to end.
struct Sequential<'a> {
    device: &'a dyn ReadAt,
    at: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let here = (self.device.len() - self.at).min(buf.len() as u64) as usize;
        self.device.read_at(self.at, buf.get_mut(..here).unwrap_or_default())?;
        self.at += here as u64;
        Ok(here)
    }
}
