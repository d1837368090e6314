//! Where packed images come from: files that are here already, and the network.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::base::decode::pipeline::{Source, Stop};
use crate::base::decode::{self, DecodeError, Format, HEAD};
use crate::base::{Error, Result};
use crate::http::Download;
use crate::io::{Stamp, fill};
use crate::progress::{Progress, Step};

/// Bytes in memory.
pub(crate) struct Bytes(pub(crate) &'static [u8]);

impl Source for Bytes {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        self.0.read(buf).map_err(|e| Error::Io { doing: "reading the sample".to_owned(), source: e }.into())
    }
}

/// A file that must not change while it is read.
pub(crate) struct LocalFile<'a> {
    file: File,
    path: PathBuf,
    stamp: Stamp,
    /// What is done with it, for people.
    doing: String,
    progress: &'a dyn Progress,
    step: Option<Box<dyn Step>>,
}

impl<'a> LocalFile<'a> {
    /// Opens the file at `path`, which was `given`; `doing` says what for.
    pub(crate) fn open(path: &Path, given: &Path, doing: &str, progress: &'a dyn Progress) -> Result<Self> {
        let io = |e| Error::io("opening the base image", given, e);
        let file = File::open(path).map_err(io)?;
        let stamp = Stamp::of(&file).map_err(io)?;
        let doing = format!("{doing} {}", given.file_name().unwrap_or(given.as_os_str()).to_string_lossy());
        Ok(Self { file, path: path.to_owned(), stamp, doing, progress, step: None })
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// What it is packed with.
    pub(crate) fn format(&mut self) -> Result<Format, DecodeError> {
        let mut head = Vec::new();
        // what cannot be read will say so where it is read in full
        let _ = self.file.by_ref().take(HEAD as u64).read_to_end(&mut head);
        let _ = self.file.rewind();
        Format::detect(&head)
    }

    /// Size of the raw image, where the file says it.
    pub(crate) fn raw_len_hint(&mut self, format: Format) -> Result<Option<u64>> {
        if format != Format::Xz {
            return Ok(None);
        }
        let reading = |e| Error::io("reading", &self.path, e);
        let hint = decode::xz_raw_len(&mut self.file).map_err(reading)?;
        self.file.rewind().map_err(reading)?;
        Ok(hint)
    }
}

impl Source for LocalFile<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        let step = self.step.get_or_insert_with(|| self.progress.begin(&self.doing, Some(self.stamp.len)));
        let n = fill(&mut self.file, buf).map_err(|e| Error::io("reading", &self.path, e))?;
        step.advance(n as u64);
        if n == 0 {
            step.finish();
            let now = Stamp::of(&self.file).map_err(|e| Error::io("examining", &self.path, e))?;
            if now != self.stamp {
                return Err(Error::Changed { path: self.path.clone() }.into());
            }
        }
        Ok(n)
    }
}

/// Files on their way from the network.
impl Source for Download<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        Ok(Download::read(self, buf)?)
    }

    fn is_cheap(&self) -> bool {
        self.is_complete()
    }
}
