//! Images that are on this machine: the built-in one and files of the user's own.

use std::io::Cursor;
use std::path::Path;
use std::time::SystemTime;

use super::source::{Bytes, LocalFile};
use super::task::{Task, Work, named};
use crate::base::cache::{Checked, Found, memo};
use crate::base::decode::{self, Format, limit, pipeline};
use crate::base::verify::checksum_files;
use crate::base::{Base, Digest, Error, Result, Trust};
use crate::http::space;
use crate::io::Stamp;

/// The built-in image.
static SAMPLE: &[u8] = include_bytes!("../sample.img.xz");

impl Task<'_, '_> {
    /// The built-in image.
    pub(crate) fn sample(&mut self) -> Result<Base> {
        let (digest, name) = (Digest::of(SAMPLE), "sample");
        let key = digest.to_string();
        let _lock = self.lock(&key, name)?;
        let found = match self.find(&digest)? {
            Some(found) => found,
            None => {
                let len_hint = decode::xz_raw_len(&mut Cursor::new(SAMPLE)).ok().flatten();
                let expected = Some(digest);
                let work = Work { key, name, len_hint, hint: None, packed_len: None, expected };
                self.produce(&work, &mut Bytes(SAMPLE))?
            }
        };
        Ok(named(found, name.to_owned(), None, Trust::BuiltIn))
    }

    /// A file, used in place where it is raw.
    pub(crate) fn local(&mut self, given: &Path) -> Result<Base> {
        let opening = |source| Error::Named { path: given.to_owned(), source };
        let path = std::fs::canonicalize(given).map_err(opening)?;
        let kind = std::fs::metadata(&path).map_err(opening)?.file_type();
        if !kind.is_file() {
            let what = if kind.is_dir() { "a folder" } else { "not a regular file" };
            return Err(Error::NotAFile { path: given.to_owned(), what });
        }
        let mut file = LocalFile::open(&path, given, "unpacking", self.progress)?;
        let stamp = file.stamp();
        let name = given.display().to_string();
        let undecodable = |source| Error::Decode { name: name.clone(), source };
        let format = file.format().map_err(undecodable)?;
        let (expected, trust) = match self.options.sha256 {
            Some(digest) => (Some(digest), Trust::Given),
            None if self.options.insecure => (None, Trust::Own),
            None => checksum_files::beside(given, self.options, self.progress)?
                .map_or((None, Trust::Own), |(digest, trust)| (Some(digest), trust)),
        };
        let compare = |actual| match expected {
            Some(expected) if expected != actual => {
                Err(Error::WrongDigest { name: name.clone(), expected, actual })
            }
            _ => Ok(()),
        };
        if format == Format::Raw {
            let (digest, checked) = self.local_digest(&path, given, stamp)?;
            compare(digest)?;
            let found = Found { path, stamp, checked, digest, packed_len: stamp.len };
            return Ok(named(found, name, None, trust));
        }
        let mut digest = self.remembered(&path, stamp);
        if digest.is_none() && self.cache.has_packed_len(stamp.len) {
            digest = Some(self.local_digest(&path, given, stamp)?.0);
        }
        if let Some(digest) = digest {
            compare(digest)?;
        }
        let key = digest.map_or_else(|| memo::local_key(&path), |d| d.to_string());
        let _lock = self.lock(&key, &name)?;
        // another process may have found it out while the lock was waited for
        let digest = digest.or_else(|| self.remembered(&path, stamp));
        if let Some(digest) = digest
            && let Some(found) = self.find(&digest)?
        {
            return Ok(named(found, name, None, trust));
        }
        let before = SystemTime::now();
        let len_hint = file.raw_len_hint(format)?;
        let packed_len = Some(stamp.len);
        limit::check(len_hint, limit::limit(None, packed_len, self.options)).map_err(undecodable)?;
        space::check(&self.cache.images(), len_hint.unwrap_or(stamp.len))?;
        let work = Work { key, name: &name, len_hint, hint: None, packed_len, expected: expected.or(digest) };
        let found = self.produce(&work, &mut file)?;
        self.cache.memos().remember(&path, stamp, found.digest, before);
        Ok(named(found, name, None, trust))
    }

    /// The digest of a file that has not changed since it was found out; who asks to be thorough
    /// wants the file read all the same.
    fn remembered(&self, path: &Path, stamp: Stamp) -> Option<Digest> {
        if self.options.thorough {
            return None;
        }
        self.cache.memos().digest_of(path, &stamp)
    }

    /// The digest of a file: remembered, or found out by reading all of it.
    fn local_digest(&self, path: &Path, given: &Path, stamp: Stamp) -> Result<(Digest, Checked)> {
        if let Some(known) = self.remembered(path, stamp) {
            return Ok((known, Checked::Remembered));
        }
        let before = SystemTime::now();
        let mut file = LocalFile::open(path, given, "reading", self.progress)?;
        if file.stamp() != stamp {
            return Err(Error::Changed { path: path.to_owned() });
        }
        let digest = pipeline::hash(&mut file, &self.options.cancel)
            .map_err(|stop| stop.of_what_stays(&given.display().to_string()))?;
        self.cache.memos().remember(path, stamp, digest, before);
        Ok((digest, Checked::Hashed))
    }
}
