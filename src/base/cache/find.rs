//! Whether an image is here, and still what it was when it was verified.

use std::path::PathBuf;

use super::entry::Files;
use super::{Cache, Checked, guard};
use crate::base::{Digest, Options, Result};
use crate::io::Stamp;
use crate::progress::Progress;

/// A raw image in the cache.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    pub(crate) checked: Checked,
    pub(crate) digest: Digest,
    pub(crate) packed_len: u64,
}

impl Cache {
    /// The image with this digest, if it is here and passes its check. One that does not is removed;
    /// the caller holds its lock.
    ///
    /// A file that was touched since it was verified (its time of change is another, which no program
    /// can put back) is read in full, and so is any file if that is asked for.
    pub(crate) fn find(
        &self,
        digest: &Digest,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Option<Found>> {
        let files = Files::new(&self.images(), digest);
        let Some(entry) = files.load() else { return Ok(None) };
        for path in [&files.entry, &files.image] {
            if let Ok(found) = std::fs::symlink_metadata(path) {
                guard::check(path, &found, self.dir())?;
            }
        }
        let path = files.image.display();
        let checked = entry.look(&files.image).and_then(|(stamp, same)| {
            if same && !options.thorough {
                return Ok((stamp, Checked::Unchanged));
            }
            if !same {
                progress.note(&format!(
                    "the cached image {path} was touched since it was verified: reading it in full"
                ));
            }
            let step = progress.begin("checking the cached image", Some(entry.raw_len));
            entry.check_content(&files.image, |n| step.advance(n))?;
            step.finish();
            Ok((stamp, Checked::Content))
        });
        let (stamp, checked) = match checked {
            Ok(checked) => checked,
            Err(reason) => {
                progress.note(&format!("the cached image {path} is damaged ({reason}); removing it"));
                files.discard()?;
                return Ok(None);
            }
        };
        tracing::info!(image = %path, checked = checked.as_str(), "found in the cache");
        let packed_len = entry.packed_len;
        if checked == Checked::Content {
            files.renew(entry, stamp)?;
        }
        Ok(Some(Found { path: files.image, stamp, checked, digest: *digest, packed_len }))
    }

    /// Whether an image was made from a packed file of this size, so that hashing a file of unknown
    /// digest may save decoding it.
    pub(crate) fn has_packed_len(&self, len: u64) -> bool {
        self.names("images").iter().filter_map(|name| name.strip_suffix(".json")).any(|digest| {
            let entry = digest.parse().ok().and_then(|d| Files::new(&self.images(), &d).load());
            entry.is_some_and(|e| e.packed_len == len)
        })
    }
}
