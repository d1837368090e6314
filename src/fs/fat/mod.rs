//! FAT16 and FAT32, edited by the crate `fatfs`. FAT knows no owner, mode or link.

mod bpb;
mod clearing;
mod dot_entries;
mod entries;
mod used;
mod view;

pub use bpb::{Bpb, RootDirectory};
pub use used::used;
pub use view::FatView;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clearing::Clearing;

use super::{Attributes, Error, FileKind, FsEdit, FsRead, Metadata, TRANSFER_LIMIT};
use crate::disk::{Limited, Stream, WriteAt};
use crate::image_path::ImagePath;

/// A clock that stands still: seconds since 1970, UTC.
#[derive(Debug)]
struct Clock(i64);

impl Clock {
    /// The clock that stands at `now`. The library takes a `'static` one, so each is made once and
    /// lives as long as the program, which bakes at one time, or a few.
    fn at(now: i64) -> &'static Self {
        static CLOCKS: Mutex<BTreeMap<i64, &'static Clock>> = Mutex::new(BTreeMap::new());
        let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.entry(now).or_insert_with(|| Box::leak(Box::new(Self(now))))
    }
}

impl fatfs::TimeProvider for Clock {
    fn get_current_date(&self) -> fatfs::Date {
        self.get_current_date_time().date
    }
    fn get_current_date_time(&self) -> fatfs::DateTime {
        dos_time(self.0)
    }
}

/// Seconds since 1970 as FAT keeps time: from 1980 to 2107; what lies outside is moved to the end.
fn dos_time(seconds: i64) -> fatfs::DateTime {
    // 1980-01-01 00:00:00 and 2107-12-31 23:59:58 UTC
    let seconds = seconds.clamp(315_532_800, 4_354_819_198);
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let date = fatfs::Date {
        year: u16::try_from(time.year()).unwrap_or(1980).max(1980),
        month: u16::from(u8::from(time.month())),
        day: u16::from(time.day()),
    };
    let clock = fatfs::Time {
        hour: u16::from(time.hour()),
        min: u16::from(time.minute()),
        sec: u16::from(time.second()),
        millis: 0,
    };
    fatfs::DateTime { date, time: clock }
}

/// What the library edits.
type Device<D> = Arc<Limited<Clearing<D>>>;

/// A FAT file system that is edited.
pub struct Fat<D: WriteAt> {
    fs: fatfs::FileSystem<Stream<Device<D>>>,
    device: Device<D>,
}

impl<D: WriteAt> Fat<D> {
    /// Opens the file system in `device` for editing; `now`, in seconds since 1970, is the time of
    /// every change.
    ///
    /// # Errors
    /// As [`Bpb::read`] and [`Bpb::check_editable`] say, before a byte is written.
    pub fn open(device: D, now: i64) -> Result<Self, Error> {
        let bpb = Bpb::read(&device)?;
        bpb.check_editable()?;
        let device = Arc::new(Limited::new(Clearing::new(device, &bpb), TRANSFER_LIMIT));
        let options = fatfs::FsOptions::new().time_provider(Clock::at(now));
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
