//! From one cache into another: what is carried into a closed network.

use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;

use super::entry::Files;
use super::folder::Cache;
use crate::base::{Digest, Error, Result};
use crate::disk::FileDevice;
use crate::http::space;
use crate::io::{AtomicFile, CancelToken, read_small};
use crate::progress::Progress;

/// What is copied at once.
const PIECE: usize = 1 << 20;

impl Cache {
    /// What has this digest, here or where is copied from, if it is no larger than `limit`.
    pub(crate) fn content(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let own = read_small(&self.file(digest), limit).ok().filter(|bytes| Digest::of(bytes) == *digest);
        own.or_else(|| self.source()?.content(digest, limit))
    }

    /// Copies a file of `len` bytes from where is copied from; says whether it was there, and whole.
    ///
    /// # Errors
    /// What writing it answers.
    pub(crate) fn take(&self, digest: &Digest, len: u64) -> Result<bool> {
        let Some(source) = self.source() else { return Ok(false) };
        let Ok(mut from) = source.read_file(digest, len) else { return Ok(false) };
        let path = self.file(digest);
        let failed = |e| space::explain(e, "writing", &path);
        let dir = path.parent().unwrap_or(self.dir());
        let mut to = AtomicFile::within(dir, digest.to_string()).map_err(failed)?;
        let (mut at, mut piece) = (0, vec![0; PIECE]);
        loop {
            let count = match from.read(&mut piece) {
                Ok(count) => count,
                // it is fetched then, as if it were not there
                Err(_) => return Ok(false),
            };
            let Some(new) = piece.get(..count).filter(|new| !new.is_empty()) else { break };
            to.write_cached(at, new).map_err(failed)?;
            at += count as u64;
        }
        let kept = to.file().set_permissions(Permissions::from_mode(0o444)).and_then(|()| to.keep());
        kept.map_err(failed)?;
        Ok(true)
    }

    /// Copies the image with this digest from where is copied from; says whether it was there.
    ///
    /// # Errors
    /// What reading and writing it answers.
    pub(crate) fn take_image(
        &self,
        digest: &Digest,
        cancel: &CancelToken,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let Some(source) = self.source() else { return Ok(false) };
        let (from, to) = (Files::new(&source.images(), digest), Files::new(&self.images(), digest));
        let Some(entry) = from.load() else { return Ok(false) };
        let failed = |e: io::Error| -> Error { space::explain(e, "copying", &from.image).into() };
        let device = FileDevice::open(&from.image).map_err(failed)?;
        let data = device.data().map_err(failed)?;
        space::check(&self.images(), data.total())?;
        let name = to.image.file_name().unwrap_or_default();
        let mut image = AtomicFile::within(&self.images(), name).map_err(failed)?;
        image.file().set_len(entry.raw_len).map_err(failed)?;
        let step = progress.begin("copying the base image", Some(data.total()));
        for chunk in device.chunks(&data) {
            cancel.check()?;
            let chunk = chunk.map_err(failed)?;
            for (offset, bytes) in chunk.extents() {
                image.write(offset, bytes).map_err(failed)?;
            }
            step.advance(chunk.covered());
        }
        step.finish();
        to.adopt(image, entry)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_copied_and_what_is_damaged_is_not() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let source = Cache::open(one.path()).unwrap();
        let content = b"x".repeat(3 << 20);
        let digest = Digest::of(&content);
        std::fs::write(source.file(&digest), &content).unwrap();
        let bad = Digest::of(b"bad");
        std::fs::write(source.file(&bad), b"worse").unwrap();
        let cache = Cache::open(other.path()).unwrap().copying_from(source);
        assert_eq!(cache.content(&digest, 4 << 20), Some(content.clone()));
        assert!(cache.take(&digest, content.len() as u64).unwrap());
        assert_eq!(std::fs::read(cache.file(&digest)).unwrap(), content);
        assert!(!cache.take(&bad, 5).unwrap() && cache.content(&bad, 100).is_none());
        assert!(!cache.take(&Digest::of(b"none"), 4).unwrap());
        let files: Vec<_> = std::fs::read_dir(other.path().join("files")).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }
}
