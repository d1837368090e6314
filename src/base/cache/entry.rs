//! What is written down about a cached image.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{read_whole, write_whole};
use crate::base::decode::pipeline::Outcome;
use crate::base::decode::sparse;
use crate::base::{Digest, Error, Result};
use crate::io::{AtomicFile, Stamp};

/// Of what follows: an entry of another version is obtained again.
const VERSION: u32 = 2;

/// Lies as JSON beside a raw image and vouches for it: it is written last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    version: u32,
    /// What it was made from, for people.
    source: String,
    /// SHA-256 of the file as published.
    pub(crate) digest: Digest,
    /// Its size.
    pub(crate) packed_len: u64,
    /// Size of the raw image.
    pub(crate) raw_len: u64,
    /// [`sparse::Content`] of the raw image.
    content: String,
    /// The raw image's file when it was last known to be right.
    stamp: Stamp,
}

/// Where a digest's image and its entry are.
pub(crate) struct Files {
    pub(crate) image: PathBuf,
    pub(crate) entry: PathBuf,
}

impl Files {
    pub(crate) fn new(images: &Path, digest: &Digest) -> Self {
        Self { image: images.join(format!("{digest}.img")), entry: images.join(format!("{digest}.json")) }
    }

    /// The entry, if there is one that can be read and is meant for this name.
    pub(crate) fn load(&self) -> Option<Entry> {
        let entry: Entry = serde_json::from_slice(&read_whole(&self.entry)?).ok()?;
        let named = self.entry.file_stem().is_some_and(|s| *s == *entry.digest.to_string());
        (entry.version == VERSION && named).then_some(entry)
    }

    /// Makes the whole file `temporary` the image. Everything that was there before goes first.
    pub(crate) fn commit(&self, temporary: AtomicFile, source: &str, outcome: &Outcome) -> Result<Entry> {
        let stamp = self.finish(temporary)?;
        let entry = Entry {
            version: VERSION,
            source: source.to_owned(),
            digest: outcome.digest,
            packed_len: outcome.packed_len,
            raw_len: outcome.raw.len,
            content: outcome.raw.content.clone(),
            stamp,
        };
        self.save(&entry)?;
        Ok(entry)
    }

    /// Makes the whole file `temporary` the image, which is a copy of that which `entry` vouches for. It is read in
    /// full.
    pub(crate) fn adopt(&self, temporary: AtomicFile, entry: Entry) -> Result<()> {
        let stamp = self.finish(temporary)?;
        entry.check_content(&self.image, |_| ()).map_err(|reason| {
            let source = io::Error::new(io::ErrorKind::InvalidData, reason);
            Error::io("copying", &self.image, source)
        })?;
        self.save(&Entry { stamp, ..entry })
    }

    /// Puts it under its name, without what was there before; nothing vouches for it yet.
    fn finish(&self, temporary: AtomicFile) -> Result<Stamp> {
        self.discard()?;
        let io = |e| Error::io("finishing", &self.image, e);
        // nobody writes to it by mistake
        temporary.file().set_permissions(Permissions::from_mode(0o444)).map_err(io)?;
        let image = temporary.keep_as(self.image.file_name().unwrap_or_default()).map_err(io)?;
        // after the last change of mode and name: both move the time of change
        Stamp::of(&image).map_err(io)
    }

    fn save(&self, entry: &Entry) -> Result<()> {
        let json =
            serde_json::to_vec_pretty(entry).map_err(|e| Error::io("finishing", &self.image, e.into()))?;
        write_whole(&self.entry, &json)
    }

    /// Writes down that the image was found to be right as it is now.
    pub(crate) fn renew(&self, entry: Entry, stamp: Stamp) -> Result<()> {
        self.save(&Entry { stamp, ..entry })
    }

    /// Removes the entry and then the image.
    pub(crate) fn discard(&self) -> Result<()> {
        for path in [&self.entry, &self.image] {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("removing", path, e)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The image's file as it is now, and whether it is the one that was verified. `Err` says why it
    /// cannot be.
    pub(crate) fn look(&self, image: &Path) -> Result<(Stamp, bool), String> {
        let now = Stamp::at(image).map_err(|e| e.to_string())?;
        if now.len != self.raw_len {
            return Err(format!("it has {} bytes instead of {}", now.len, self.raw_len));
        }
        Ok((now, now == self.stamp))
    }

    /// Reads all of the image. `Err` says what is wrong.
    pub(crate) fn check_content(&self, image: &Path, seen: impl FnMut(u64)) -> Result<(), String> {
        match sparse::content_of(image, seen) {
            Ok(content) if content == self.content => Ok(()),
            Ok(_) => Err("its content is not what was written".to_owned()),
            Err(e) => Err(e.to_string()),
        }
    }
}
