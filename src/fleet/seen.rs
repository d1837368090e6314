//! What a machine has seen of fleets: which cluster each name stood for, with which number, and who signed each
//! cluster. So nobody can give it an older index, nor one cluster for another.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::listing::Listing;
use super::signature::PublicKey;
use crate::catalog::Digest;
use crate::io::folder::make_folders;
use crate::io::{CancelToken, FileLock, Folder, Owner, read_small};

/// No such note is larger.
const LARGEST: u64 = 1 << 16;

/// The notes, one a name and one a cluster.
#[derive(Debug, Clone)]
pub struct Seen {
    dir: PathBuf,
}

/// An index that somebody who is trusted has signed, as it was found.
pub(super) struct Sight<'a> {
    /// Under which name: `oci://…`
    pub(super) name: &'a str,
    /// What it says.
    pub(super) listing: &'a Listing,
    /// Its digest.
    pub(super) index: Digest,
    /// Who signed it.
    pub(super) signed_by: &'a PublicKey,
    /// All who are trusted here.
    pub(super) trusted: &'a [PublicKey],
}

/// What a name stood for the last time. Another tag has numbers of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    name: String,
    fleet: String,
    cluster: String,
    serial: u64,
    index: Digest,
}

/// Who signs a cluster, whatever the name that it is found under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signer {
    fleet: String,
    cluster: String,
    key: String,
}

impl Seen {
    /// In this folder, which need not exist.
    #[must_use]
    pub fn within(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The note on a name, or on a cluster.
    fn file(kind: &str, of: &str) -> String {
        format!("{kind}-{}.json", Digest::of(of.as_bytes()))
    }

    fn read<T: DeserializeOwned>(&self, file: &str, is_it: impl Fn(&T) -> bool) -> Result<Option<T>> {
        let path = self.dir.join(file);
        let bytes = match read_small(&path, LARGEST) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            read => read.map_err(|e| Error::io(format!("reading {}", path.display()), e))?,
        };
        let note: Option<T> = serde_json::from_slice(&bytes).ok();
        note.filter(is_it).map(Some).ok_or_else(|| Error::KeyFile {
            path,
            fault: "it should say which index of a fleet was seen last, and cannot be read: remove it once you have made sure that the registry has the newest one".to_owned(),
        })
    }

    fn write(&self, file: &str, note: &impl Serialize) -> Result<()> {
        let writing = |e| Error::io(format!("writing into the folder {}", self.dir.display()), e);
        let text = serde_json::to_vec(note).map_err(|source| Error::Document { what: "a note", source })?;
        let folder = Folder::open(&self.dir).map_err(writing)?;
        folder.replace(file, &text, 0o600, Owner::of_new_in(&self.dir)).map_err(writing)
    }

    /// Refuses an index that is older than one that was seen under its name, or of another cluster, or signed by
    /// somebody else than this cluster's before who is still trusted; and remembers one that is none of it.
    ///
    /// # Errors
    /// [`Error::Older`], [`Error::Other`], [`Error::AnotherCluster`], [`Error::AnotherKey`]; what reading and writing
    /// the notes answers.
    pub(super) fn keep(&self, sight: &Sight<'_>, cancel: &CancelToken) -> Result<()> {
        let making = |e| Error::io(format!("making the folder {}", self.dir.display()), e);
        make_folders(&self.dir, 0o700).map_err(making)?;
        // two runs at once must not take each other's note away
        let _lock =
            FileLock::take(&self.dir.join("lock"), cancel, || ()).map_err(crate::base::Error::from)?;
        let Listing { fleet, cluster, serial, .. } = sight.listing;
        let (by_name, by_cluster) = (Self::file("name", sight.name), Self::file("cluster", fleet));
        let newest: Option<Newest> = self.read(&by_name, |note: &Newest| note.name == sight.name)?;
        if let Some(newest) = &newest {
            self.judge(sight, newest, &by_name)?;
        }
        let signer: Option<Signer> = self.read(&by_cluster, |note: &Signer| note.fleet == *fleet)?;
        let key = sight.signed_by.to_string();
        if let Some(signer) = &signer {
            // who takes an old key out of the trusted ones has decided that it is not the owner's any more
            let other = sight.trusted.iter().find(|trusted| trusted.to_string() == signer.key);
            if let Some(other) = other.filter(|other| *other != sight.signed_by) {
                return Err(Error::AnotherKey {
                    fleet: sight.name.to_owned(),
                    cluster: cluster.clone(),
                    found: sight.signed_by.id(),
                    seen: other.id(),
                    note: self.dir.join(by_cluster).into_boxed_path(),
                });
            }
        }
        let (fleet, cluster) = (fleet.clone(), cluster.clone());
        if signer.is_none_or(|signer| signer.key != key) {
            self.write(&by_cluster, &Signer { fleet: fleet.clone(), cluster: cluster.clone(), key })?;
        }
        if newest.is_none_or(|newest| newest.serial < *serial) {
            let (name, index) = (sight.name.to_owned(), sight.index);
            self.write(&by_name, &Newest { name, fleet, cluster, serial: *serial, index })?;
        }
        Ok(())
    }

    /// Holds an index against what its name stood for.
    fn judge(&self, sight: &Sight<'_>, newest: &Newest, file: &str) -> Result<()> {
        let (fleet, cluster) = (sight.name.to_owned(), sight.listing.cluster.clone());
        let found = sight.listing.serial;
        if sight.listing.fleet != newest.fleet {
            let (seen, note) = (newest.cluster.clone(), self.dir.join(file));
            return Err(Error::AnotherCluster { fleet, cluster, seen, note });
        }
        if found < newest.serial {
            return Err(Error::Older { fleet, cluster, found, seen: newest.serial });
        }
        if found == newest.serial && sight.index != newest.index {
            return Err(Error::Other { fleet, cluster, found });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::SigningKey;

    const NAME: &str = "oci://r/x:1";

    fn key() -> PublicKey {
        SigningKey::make().unwrap().parse::<SigningKey>().unwrap().public()
    }

    /// A machine that has found a fleet of this name, cluster and number, signed by the first of the keys.
    fn found(
        seen: &Seen,
        name: &str,
        fleet: &str,
        serial: u64,
        index: &[u8],
        keys: &[PublicKey],
    ) -> Result<()> {
        let listing = Listing { serial, ..Listing::for_tests(fleet) };
        let (index, signed_by) = (Digest::of(index), &keys[0]);
        let sight = Sight { name, listing: &listing, index, signed_by, trusted: keys };
        seen.keep(&sight, &CancelToken::default())
    }

    #[test]
    fn an_older_index_is_refused_and_a_newer_one_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::within(dir.path().join("x/fleets"));
        let keys = [key()];
        let keep = |serial, index: &[u8]| found(&seen, NAME, "sha256:ca", serial, index, &keys);
        keep(3, b"three").unwrap();
        keep(3, b"three").unwrap();
        assert!(matches!(keep(3, b"another"), Err(Error::Other { found: 3, .. })));
        assert!(matches!(keep(2, b"two"), Err(Error::Older { found: 2, seen: 3, .. })));
        keep(5, b"five").unwrap();
        assert!(matches!(keep(4, b"four"), Err(Error::Older { found: 4, seen: 5, .. })));
        // another tag of the same cluster has numbers of its own
        found(&seen, "oci://r/x:2", "sha256:ca", 1, b"one", &keys).unwrap();
        let file = dir.path().join("x/fleets").join(Seen::file("name", NAME));
        std::fs::write(file, "{").unwrap();
        assert!(matches!(keep(9, b"nine"), Err(Error::KeyFile { .. })));
    }

    #[test]
    fn a_name_stays_with_its_cluster_and_a_cluster_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::within(dir.path().to_owned());
        let (home, lab) = (key(), key());
        found(&seen, NAME, "sha256:home", 1, b"home", &[home, lab]).unwrap();
        found(&seen, "oci://r/lab:1", "sha256:lab", 7, b"lab", &[lab, home]).unwrap();
        // another one's index under this name, however new
        let swapped = found(&seen, NAME, "sha256:lab", 7, b"lab", &[lab, home]).unwrap_err();
        assert!(matches!(&swapped, Error::AnotherCluster { note, .. } if note.is_file()), "{swapped}");
        // a key that is trusted for another cluster, with a number that nothing comes after
        for name in [NAME, "oci://r/other:1"] {
            let forged = found(&seen, name, "sha256:home", u64::MAX, b"x", &[lab, home]).unwrap_err();
            assert!(matches!(forged, Error::AnotherKey { .. }), "{forged}");
        }
        found(&seen, NAME, "sha256:home", 2, b"two", &[home, lab]).unwrap();
        // a copy elsewhere, and an owner whose old key nobody trusts any more
        found(&seen, "oci://copy/x:1", "sha256:home", 2, b"two", &[home, lab]).unwrap();
        found(&seen, NAME, "sha256:home", 3, b"three", &[key(), lab]).unwrap();
    }
}
