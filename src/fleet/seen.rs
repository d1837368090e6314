//! What a machine has seen of each fleet: the highest number, so that nobody can give it an older index.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::listing::Listing;
use crate::catalog::Digest;
use crate::io::folder::make_folders;
use crate::io::{CancelToken, FileLock, Folder, Owner, read_small};

/// No such note is larger.
const LARGEST: u64 = 1 << 16;

/// The notes, one a fleet.
#[derive(Debug, Clone)]
pub struct Seen {
    dir: PathBuf,
}

/// The newest index that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    fleet: String,
    cluster: String,
    serial: u64,
    index: Digest,
}

impl Seen {
    /// In this folder, which need not exist.
    #[must_use]
    pub fn within(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn file(&self, fleet: &str) -> String {
        format!("{}.json", Digest::of(fleet.as_bytes()))
    }

    fn newest(&self, fleet: &str) -> Result<Option<Newest>> {
        let path = self.dir.join(self.file(fleet));
        let bytes = match read_small(&path, LARGEST) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            read => read.map_err(|e| Error::io(format!("reading {}", path.display()), e))?,
        };
        let newest: Option<Newest> = serde_json::from_slice(&bytes).ok();
        newest.filter(|newest| newest.fleet == fleet).map(Some).ok_or_else(|| Error::KeyFile {
            path,
            fault: "it should say which index of a fleet was seen last, and cannot be read: remove it once you have made sure that the registry has the newest one".to_owned(),
        })
    }

    /// The highest number that was seen of a fleet; 0 where it never was.
    ///
    /// # Errors
    /// What reading the note answers.
    pub(super) fn serial(&self, fleet: &str) -> Result<u64> {
        Ok(self.newest(fleet)?.map_or(0, |newest| newest.serial))
    }

    /// Refuses an index that is older than one that was seen before, and remembers one that is not. `name` is where
    /// it is from.
    ///
    /// # Errors
    /// [`Error::Older`], [`Error::Other`]; what reading and writing the note answers.
    pub(super) fn keep(
        &self,
        name: &str,
        listing: &Listing,
        index: Digest,
        cancel: &CancelToken,
    ) -> Result<()> {
        let making = |e| Error::io(format!("writing into the folder {}", self.dir.display()), e);
        make_folders(&self.dir, 0o700).map_err(making)?;
        // two runs at once must not take each other's note away
        let lock = FileLock::take(&self.dir.join("lock"), cancel, || ()).map_err(crate::base::Error::from)?;
        let newest = self.newest(&listing.fleet)?;
        if let Some(newest) = newest {
            let (fleet, cluster) = (name.to_owned(), listing.cluster.clone());
            let found = listing.serial;
            if found < newest.serial {
                return Err(Error::Older { fleet, cluster, found, seen: newest.serial });
            }
            if found == newest.serial && index != newest.index {
                return Err(Error::Other { fleet, cluster, found });
            }
            if found == newest.serial {
                return Ok(());
            }
        }
        let newest = Newest {
            fleet: listing.fleet.clone(),
            cluster: listing.cluster.clone(),
            serial: listing.serial,
            index,
        };
        let text =
            serde_json::to_vec(&newest).map_err(|source| Error::Document { what: "a note", source })?;
        let folder = Folder::open(&self.dir).map_err(making)?;
        let owner = Owner::of_new_in(&self.dir);
        folder.replace(&self.file(&listing.fleet), &text, 0o600, owner).map_err(making)?;
        drop(lock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_index_is_refused_and_a_newer_one_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::within(dir.path().join("x/fleets"));
        let listing = |serial| Listing { serial, ..Listing::for_tests("sha256:ca") };
        let keep = |serial, index: &[u8]| {
            seen.keep("oci://r/x:1", &listing(serial), Digest::of(index), &CancelToken::default())
        };
        assert_eq!(seen.serial("sha256:ca").unwrap(), 0);
        keep(3, b"three").unwrap();
        keep(3, b"three").unwrap();
        assert!(matches!(keep(3, b"another"), Err(Error::Other { found: 3, .. })));
        assert!(matches!(keep(2, b"two"), Err(Error::Older { found: 2, seen: 3, .. })));
        keep(5, b"five").unwrap();
        assert_eq!((seen.serial("sha256:ca").unwrap(), seen.serial("sha256:other").unwrap()), (5, 0));
        let file = dir.path().join("x/fleets").join(seen.file("sha256:ca"));
        std::fs::write(file, "{").unwrap();
        assert!(matches!(keep(9, b"nine"), Err(Error::KeyFile { .. })));
    }
}
