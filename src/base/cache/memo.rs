//! Small notes that save work the next time. None of them is trusted for more than that: each names
//! what it was true of, and that is compared.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Url;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{files, guard};
use crate::base::{Digest, Error};
use crate::catalog::shown;
use crate::io::Stamp;

/// The digest of a file of this machine, as long as it has this stamp.
#[derive(Serialize, Deserialize)]
struct Local {
    path: String,
    stamp: Stamp,
    digest: Digest,
}

/// What an address gave that nothing vouches for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fetched {
    url: String,
    pub(crate) digest: Digest,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// The folder of notes.
pub(crate) struct Memos(pub(crate) PathBuf);

impl Memos {
    pub(crate) fn digest_of(&self, path: &Path, stamp: &Stamp) -> Option<Digest> {
        let memo: Local = self.load(&local_key(path))?;
        (memo.path == path.to_string_lossy() && memo.stamp == *stamp).then_some(memo.digest)
    }

    /// Remembers a digest, unless the file is so fresh that it could change without its stamp telling.
    pub(crate) fn remember(&self, path: &Path, stamp: Stamp, digest: Digest, before: SystemTime) {
        let before = before.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        if stamp.is_settled(i64::try_from(before).unwrap_or(0)) {
            self.save(&local_key(path), &Local { path: path.to_string_lossy().into_owned(), stamp, digest });
        }
    }

    pub(crate) fn fetched(&self, url: &Url) -> Option<Fetched> {
        self.load(&url_key(url)).filter(|f: &Fetched| f.url == shown(url))
    }

    pub(crate) fn remember_fetched(
        &self,
        url: &Url,
        digest: Digest,
        (etag, last_modified): (Option<String>, Option<String>),
    ) {
        self.save(&url_key(url), &Fetched { url: shown(url), digest, etag, last_modified });
    }

    fn load<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let path = self.0.join(format!("{key}.json"));
        // one that somebody else may have written is as good as none
        let safe = std::fs::symlink_metadata(&path).is_ok_and(|found| guard::is_safe(&found));
        let bytes = if safe { files::read_whole(&path)? } else { return None };
        serde_json::from_slice(&bytes).ok()
    }

    /// A note that cannot be written costs time later and nothing now.
    fn save<T: Serialize>(&self, key: &str, memo: &T) {
        let path = self.0.join(format!("{key}.json"));
        let written = serde_json::to_vec(memo)
            .map_err(|e| Error::io("writing", &path, e.into()))
            .and_then(|json| files::write_whole(&path, &json));
        if let Err(fault) = written {
            tracing::warn!(%fault, "a note was not kept");
        }
    }
}

/// A file name that stands for a path, whatever characters that has.
pub(crate) fn local_key(path: &Path) -> String {
    format!("file-{}", short(path.as_os_str().as_encoded_bytes()))
}

/// A file name that stands for an address.
pub(crate) fn url_key(url: &Url) -> String {
    format!("url-{}", short(shown(url).as_bytes()))
}

/// 128 bits are enough to tell names apart that nobody chose to collide.
fn short(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().chars().take(32).collect()
}
