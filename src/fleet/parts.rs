//! What nodes share, on its way into a registry: an image in chunks, or the changes of one, each blob once.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunks::{WINDOW, pack};
use super::error::{Error, Result};
use super::format::{Descriptor, EMPTY_CONTENT, Manifest, Notes, note, notes, text};
use crate::base;
use crate::catalog::Digest;
use crate::disk::{Ranges, cut};
use crate::io::{CancelToken, each_at_once};
use crate::oci::{OCI_MANIFEST, Repository};
use crate::progress::Step;

/// How many blobs are packed and sent at once.
pub(super) const PARALLEL: usize = 4;

/// A repository that a fleet is put into.
pub(super) struct Store<'a> {
    pub(super) repository: &'a Repository<'a>,
    pub(super) cancel: &'a CancelToken,
    /// Bytes that were sent.
    pub(super) sent: AtomicU64,
}

/// Makes what goes into the blob of a window; `None` where that holds nothing.
pub(super) type Content<'a> = dyn Fn(Range<u64>) -> io::Result<Option<Vec<u8>>> + Sync + 'a;

/// The windows that have bytes of `data` in them, of an image of `length` bytes.
pub(super) fn windows(data: &Ranges, length: u64) -> Vec<Range<u64>> {
    cut(0..length, WINDOW).filter(|window| data.within(window.clone()).next().is_some()).collect()
}

impl Store<'_> {
    /// Puts a blob there.
    pub(super) fn blob(&self, media_type: &str, bytes: &[u8], notes: Notes) -> Result<Descriptor> {
        self.cancel.check().map_err(base::Error::from)?;
        let descriptor = Descriptor::of(media_type, bytes, notes);
        if self.repository.put(&descriptor.digest, bytes)? {
            self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Ok(descriptor)
    }

    /// Puts a manifest there under `tag`, or where there is none under its digest; its blobs are there. Gives its
    /// bytes.
    pub(super) fn manifest(&self, manifest: &Manifest, tag: Option<&str>) -> Result<Vec<u8>> {
        self.repository.put(&manifest.config.digest, EMPTY_CONTENT)?;
        let bytes = text(manifest).map_err(|source| Error::Document { what: "a manifest", source })?;
        let object = tag.map_or_else(|| format!("sha256:{}", Digest::of(&bytes)), str::to_owned);
        self.repository.put_manifest(&object, OCI_MANIFEST, &bytes)?;
        Ok(bytes)
    }

    /// Puts the blobs of these windows there, several at once; they come in the order of the windows.
    pub(super) fn windows(
        &self,
        media_type: &str,
        windows: &[Range<u64>],
        content: &Content<'_>,
        step: &dyn Step,
    ) -> Result<Vec<Descriptor>> {
        let is_over = self.cancel.child();
        let lost = || Error::from(base::Error::Worker { name: "a part of the image".to_owned() });
        let found = each_at_once(PARALLEL, windows.len(), &is_over, lost, |at| -> Result<_> {
            let Some(window) = windows.get(at) else { return Ok(None) };
            is_over.check().map_err(base::Error::from)?;
            let reading = |e| Error::io("packing a part of the image", e);
            let blob = match content(window.clone()).map_err(reading)? {
                Some(bytes) => {
                    let packed = pack(&bytes).map_err(reading)?;
                    let at = notes([(note::OFFSET, window.start.to_string())]);
                    Some(self.blob(media_type, &packed, at)?)
                }
                None => None,
            };
            step.advance(window.end - window.start);
            Ok(blob)
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The manifest under `tag` here or in one of the repositories `elsewhere` of the registry, if it is as `fits`
    /// wants it and the registry has all its blobs, which are here then. Anybody may have put it there: `fits` also
    /// says whether its digest is to be believed.
    pub(super) fn known(
        &self,
        tag: &str,
        elsewhere: &[String],
        fits: impl Fn(&Digest, &Manifest) -> bool,
    ) -> Result<Option<Manifest>> {
        let own = self.repository.path();
        for path in [own].into_iter().chain(elsewhere.iter().map(String::as_str)) {
            let repository = self.repository.beside(path);
            let found = match repository.manifest(tag) {
                Ok(found) => found,
                // another one may be closed to this user
                Err(fault) if path != own => {
                    tracing::debug!(path, %fault, "not looked into");
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            };
            let Some(bytes) = found else { continue };
            let manifest: Option<Manifest> = serde_json::from_slice(&bytes).ok();
            let digest = Digest::of(&bytes);
            let Some(manifest) = manifest.filter(|manifest| fits(&digest, manifest)) else { continue };
            if self.has_all(&manifest, path)? {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }

    fn has_all(&self, manifest: &Manifest, path: &str) -> Result<bool> {
        for layer in &manifest.layers {
            self.cancel.check().map_err(base::Error::from)?;
            let is_here = match path == self.repository.path() {
                true => self.repository.has(&layer.blob())?,
                false => self.repository.mount(&layer.blob(), path)?,
            };
            if !is_here {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_where_they_always_do() {
        let data = Ranges::from_iter([5..6, WINDOW - 1..WINDOW + 1, 5 * WINDOW..5 * WINDOW + 7]);
        let found = windows(&data, 5 * WINDOW + 100);
        assert_eq!(found, [0..WINDOW, WINDOW..2 * WINDOW, 5 * WINDOW..5 * WINDOW + 100]);
        assert!(windows(&Ranges::new(), 100).is_empty());
    }
}
