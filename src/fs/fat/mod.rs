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

    fn dir(&self, path: &ImagePath) -> Result<fatfs::Dir<'_, Stream<Device<D>>>, Error> {
        match path.as_str().trim_start_matches('/') {
            "" => Ok(self.root()),
            relative => self.root().open_dir(relative).map_err(|e| explain(path, e)),
        }
    }

    /// Kind and length of what is at `path`; names compare without regard to case.
    fn entry(&self, path: &ImagePath) -> Result<Option<(FileKind, u64)>, Error> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Some((FileKind::Directory, 0)));
        };
        let parent = match self.dir(&parent) {
            Err(Error::Path { .. }) => return Ok(None),
            other => other?,
        };
        for entry in parent.iter() {
            let entry = entry.map_err(|e| explain(path, e))?;
            let matches = entry.file_name().to_uppercase() == name.to_uppercase()
                || entry.short_file_name().eq_ignore_ascii_case(name);
            if matches {
                let kind = if entry.is_dir() { FileKind::Directory } else { FileKind::File };
                return Ok(Some((kind, entry.len())));
            }
        }
        Ok(None)
    }
}

impl<D: WriteAt> FsRead for Fat<D> {
    fn metadata(&self, path: &ImagePath) -> Result<Option<Metadata>, Error> {
        Ok(self.entry(path)?.map(|(kind, len)| Metadata { kind, len, attributes: None }))
    }

    fn list(&self, path: &ImagePath) -> Result<Vec<(String, FileKind)>, Error> {
        let mut names = Vec::new();
        for entry in self.dir(path)?.iter() {
            let entry = entry.map_err(|e| explain(path, e))?;
            let name = entry.file_name();
            if name != "." && name != ".." {
                names.push((name, if entry.is_dir() { FileKind::Directory } else { FileKind::File }));
            }
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    fn read(&self, path: &ImagePath, out: &mut dyn Write) -> Result<(), Error> {
        let relative = path.as_str().trim_start_matches('/');
        let mut file = self.root().open_file(relative).map_err(|e| explain(path, e))?;
        io::copy(&mut file, out).map(drop).map_err(|e| explain(path, e))
    }
}

impl<D: WriteAt> FsEdit for Fat<D> {
    fn write(&self, path: &ImagePath, content: &mut dyn Read, _attributes: Attributes) -> Result<(), Error> {
        if let Some((FileKind::Directory, _)) = self.entry(path)? {
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
        if self.entry(path)?.is_some() {
            return Err(Error::path(path, "something is there already"));
        }
        let relative = path.as_str().trim_start_matches('/');
        self.root().create_dir(relative).map_err(|e| explain(path, e))?;
        let offset = FatView::open(&self.device)?.directory_offset(path)?;
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
