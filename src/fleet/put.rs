//! A note of what this machine has put into a registry: in which repositories, and which manifests of bases. What
//! somebody else put there may be anything; what this machine did is right.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::Cache;
use crate::catalog::Digest;
use crate::io::{atomic, read_small};

/// In so many repositories of a registry a base is looked for.
const MOST_ELSEWHERE: usize = 4;
/// So many bases are remembered.
const MOST_BASES: usize = 64;
/// No such note is larger.
const LARGEST: u64 = 1 << 16;

/// What was put into one registry.
pub(super) struct Put {
    path: PathBuf,
}

/// The last ones first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    repositories: Vec<String>,
    bases: Vec<Digest>,
}

impl Put {
    /// Into the registry at this host.
    pub(super) fn at(host: &str, cache: &Cache) -> Self {
        Self { path: cache.evidence().join(format!("{}.pushed", Digest::of(host.as_bytes()))) }
    }

    fn note(&self) -> Note {
        let bytes = read_small(&self.path, LARGEST).ok();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// The repositories beside this one that something was put into.
    pub(super) fn elsewhere(&self, own: &str) -> Vec<String> {
        self.note().repositories.into_iter().filter(|path| path != own).take(MOST_ELSEWHERE).collect()
    }

    /// The manifests of bases that were put there.
    pub(super) fn bases(&self) -> Vec<Digest> {
        self.note().bases
    }

    /// Remembers a base. A note that cannot be written costs time later and nothing now.
    pub(super) fn remember(&self, repository: &str, base: Digest) {
        let mut note = self.note();
        note.repositories.retain(|path| path != repository);
        note.repositories.insert(0, repository.to_owned());
        note.repositories.truncate(MOST_ELSEWHERE + 1);
        note.bases.retain(|other| *other != base);
        note.bases.insert(0, base);
        note.bases.truncate(MOST_BASES);
        let text = serde_json::to_vec(&note).unwrap_or_default();
        if let Err(fault) = atomic::write_whole(&self.path, &text) {
            tracing::debug!(%fault, "a note was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_is_remembered_the_last_one_first() {
        let dir = tempfile::tempdir().unwrap();
        let put = Put { path: dir.path().join("note") };
        assert!(put.bases().is_empty() && put.elsewhere("a").is_empty());
        for (repository, base) in [("a", "1"), ("b", "2"), ("a", "1")] {
            put.remember(repository, Digest::of(base.as_bytes()));
        }
        assert_eq!(put.bases(), [Digest::of(b"1"), Digest::of(b"2")]);
        assert_eq!(
            (put.elsewhere("a"), put.elsewhere("c")),
            (vec!["b".to_owned()], vec!["a".into(), "b".into()])
        );
        std::fs::write(&put.path, "[\"a\"]").unwrap();
        assert!(put.bases().is_empty() && put.elsewhere("c").is_empty());
    }
}
