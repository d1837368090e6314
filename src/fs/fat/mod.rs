//! FAT16 and FAT32, edited by the crate `fatfs`. FAT knows no owner, mode or link.

mod bpb;
mod clearing;
mod clock;
mod dot_entries;
mod entries;
mod used;
mod view;

pub use bpb::{Bpb, RootDirectory};
pub use clock::Clock;
pub use used::used;
pub use view::FatView;

use std::io::{self, Read, Write};
use std::sync::Arc;

use clearing::Clearing;

use super::{Attributes, Error, FileKind, FsEdit, FsRead, Metadata, TRANSFER_LIMIT};
use crate::disk::{Limited, Stream, WriteAt};
use crate::image_path::ImagePath;

/// What the library edits.
type Device<D> = Arc<Limited<Clearing<D>>>;

/// A FAT file system that is edited.
pub struct Fat<D: WriteAt> {
    fs: fatfs::FileSystem<Stream<Device<D>>>,
    device: Device<D>,
}

impl<D: WriteAt> Fat<D> {
    /// Opens the file system in `device` for editing; every change gets the time of `clock`, which the library
    /// wants to live as long as the program.
    ///
    /// # Errors
    /// As [`Bpb::read`] and [`Bpb::check_editable`] say, before a byte is written.
    pub fn open(device: D, clock: &'static Clock) -> Result<Self, Error> {
        let bpb = Bpb::read(&device)?;
        bpb.check_editable()?;
        let device = Arc::new(Limited::new(Clearing::new(device, &bpb), TRANSFER_LIMIT));
        let options = fatfs::FsOptions::new().time_provider(clock);
        let fs = fatfs::FileSystem::new(Stream::new(Arc::clone(&device)), options)
            .map_err(|e| Error::NotThere { wanted: "FAT", why: e.to_string() })?;
        Ok(Self { fs, device })
    }

    fn root(&self) -> fatfs::Dir<'_, Stream<Device<D>>> {
        self.fs.root_dir()
    }

    /// The reader, which sees what was written so far: the library keeps back nothing but counts.
    fn view(&self) -> Result<FatView<&Device<D>>, Error> {
        FatView::open(&self.device)
    }
}

impl<D: WriteAt> FsRead for Fat<D> {
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        self.view()?.metadata(path)
    }

    fn entries(&self, path: &ImagePath) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        self.view()?.entries(path)
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        self.view()?.read(path, out)
    }
}

impl<D: WriteAt> FsEdit for Fat<D> {
    fn write(&self, path: &ImagePath, content: &mut dyn Read, _attributes: Attributes) -> Result<(), Error> {
        if self.metadata(path)?.is_some_and(|found| found.kind == FileKind::Directory) {
            return Err(Error::path(path, "is a directory, and a file is to be put in its place"));
        }
        let relative = path.as_str().trim_start_matches('/');
        let copied = self.root().create_file(relative).and_then(|mut file| {
            file.truncate()?;
            io::copy(content, &mut file)?;
            file.flush()
        });
        copied.map_err(|e| explain(path, e))
    }

    fn create_dir(&self, path: &ImagePath, _attributes: Attributes) -> Result<(), Error> {
        if self.metadata(path)?.is_some() {
            return Err(Error::path(path, "something is there already"));
        }
        let relative = path.as_str().trim_start_matches('/');
        self.root().create_dir(relative).map_err(|e| explain(path, e))?;
        let offset = self.view()?.directory_offset(path)?;
        let offset = offset.ok_or_else(|| Error::corrupt(path, "it was made and is not there"))?;
        dot_entries::repair(&self.device, offset, path)
    }

    fn symlink(&self, path: &ImagePath, _target: &str) -> Result<(), Error> {
        Err(Error::path(path, "a FAT file system cannot hold a symbolic link"))
    }

    fn remove(&self, path: &ImagePath) -> Result<(), Error> {
        self.root().remove(path.as_str().trim_start_matches('/')).map_err(|e| explain(path, e))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.fs.unmount().map_err(|e| Error::io("closing the FAT file system", e))
    }
}

/// The library speaks in kinds of input and output errors, and for most in words alone.
fn explain(path: &ImagePath, error: io::Error) -> Error {
    let why = error.to_string();
    match (error.kind(), why.as_str()) {
        (io::ErrorKind::NotFound, _) => Error::path(path, "no such file or directory"),
        (io::ErrorKind::Other, "No space left on device")
        | (io::ErrorKind::WriteZero | io::ErrorKind::StorageFull, _) => {
            Error::Full { path: path.to_string() }
        }
        // names that FAT cannot hold, files where directories should be, directories that hold files
        (io::ErrorKind::Other | io::ErrorKind::AlreadyExists, _) => Error::path(path, why),
        (io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData, _) => Error::corrupt(path, why),
        _ => Error::io(format!("editing {path} on the boot partition"), error),
    }
}
