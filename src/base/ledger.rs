//! What names stand for that may come to stand for something else: a repository's list, the tag of an image, a key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Digest, Error, Result};

/// What names must stand for, where that was written down, and what they were found to stand for.
#[derive(Debug, Default)]
pub struct Ledger {
    pinned: BTreeMap<String, Digest>,
    is_strict: bool,
    found: Mutex<BTreeMap<String, Digest>>,
}

impl Ledger {
    /// Names stand for what `pinned` has for them. `is_strict`: a name that it does not have is an error.
    #[must_use]
    pub fn new(pinned: BTreeMap<String, Digest>, is_strict: bool) -> Self {
        Self { pinned, is_strict, found: Mutex::default() }
    }

    /// Whether a name is pinned.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pinned.contains_key(name)
    }

    /// What a name must stand for.
    ///
    /// # Errors
    /// [`Error::NotLocked`]
    pub(crate) fn pinned(&self, name: &str) -> Result<Option<Digest>> {
        match self.pinned.get(name) {
            None if self.is_strict => Err(Error::NotLocked { name: name.to_owned() }),
            digest => Ok(digest.copied()),
        }
    }

    /// Writes down what a name stands for now.
    ///
    /// # Errors
    /// [`Error::Moved`] where it must stand for something else.
    pub(crate) fn note(&self, name: &str, digest: Digest) -> Result<()> {
        if let Some(locked) = self.pinned(name)?.filter(|locked| *locked != digest) {
            return Err(Error::Moved { name: name.to_owned(), locked, found: digest });
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), digest);
        Ok(())
    }

    /// What all names were found to stand for that were asked for.
    #[must_use]
    pub fn found(&self) -> BTreeMap<String, Digest> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_must_not_change_and_what_is_not_is_written_down() {
        let [one, other] = [Digest::of(b"1"), Digest::of(b"2")];
        let pinned = BTreeMap::from([("a".to_owned(), one)]);
        let ledger = Ledger::new(pinned.clone(), false);
        assert_eq!((ledger.pinned("a").unwrap(), ledger.pinned("b").unwrap()), (Some(one), None));
        ledger.note("b", other).unwrap();
        assert!(matches!(ledger.note("a", other), Err(Error::Moved { .. })));
        assert_eq!(ledger.found(), BTreeMap::from([("b".to_owned(), other)]));
        let strict = Ledger::new(pinned, true);
        assert!(matches!(strict.note("b", other), Err(Error::NotLocked { name }) if name == "b"));
        strict.note("a", one).unwrap();
    }
}
