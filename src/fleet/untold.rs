//! Cards that are made, and that the registry was not told of yet: noted on this machine until it is.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::error::{Error, Result};
use crate::io::folder::{make_folders, parent};
use crate::io::{atomic, read_small};

/// No such note is larger.
const LARGEST: u64 = 4 << 20;

/// The note of the one run that makes cards for this machine.
#[derive(Debug)]
pub struct Untold {
    path: PathBuf,
    made: Mutex<Vec<Made>>,
}

/// A card, and whom to tell of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Made {
    place: String,
    claim: Claim,
}

impl Untold {
    /// The note in this file, which need not exist.
    ///
    /// # Errors
    /// [`Error::KeyFile`] for one that cannot be understood; what reading it answers.
    pub fn open(path: PathBuf) -> Result<Self> {
        let made = match read_small(&path, LARGEST) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
            Err(e) => return Err(Error::io(format!("reading {}", path.display()), e)),
            Ok(bytes) => serde_json::from_slice(&bytes),
        };
        let fault =
            "it should say of which cards the registry is still to be told, and cannot be read: remove it";
        match made {
            Ok(made) => Ok(Self { path, made: Mutex::new(made) }),
            Err(_) => Err(Error::KeyFile { path, fault: fault.to_owned() }),
        }
    }

    /// What the list at `place` is still to be told.
    #[must_use]
    pub fn of(&self, place: &str) -> Vec<Claim> {
        self.made().iter().filter(|made| made.place == place).map(|made| made.claim.clone()).collect()
    }

    /// Notes what the list at `place` is to be told.
    ///
    /// # Errors
    /// What writing answers.
    pub fn add(&self, place: &str, claim: &Claim) -> Result<()> {
        let mut made = self.made();
        made.retain(|made| made.place != place || made.claim.node != claim.node);
        made.push(Made { place: place.to_owned(), claim: claim.clone() });
        self.write(&made)
    }

    /// It was told.
    ///
    /// # Errors
    /// What writing answers.
    pub fn told(&self, place: &str, node: &str) -> Result<()> {
        let mut made = self.made();
        let before = made.len();
        made.retain(|made| made.place != place || made.claim.node != node);
        if made.len() == before { Ok(()) } else { self.write(&made) }
    }

    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        // what is in it is whole at any time
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, made: &[Made]) -> Result<()> {
        let dir = parent(&self.path);
        let text = serde_json::to_vec(made).map_err(|source| Error::Document { what: "a note", source })?;
        let written = make_folders(dir, 0o700).and_then(|()| atomic::write_whole(&self.path, &text));
        written.map_err(|e| Error::io(format!("writing {}", self.path.display()), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::State;

    fn claim(node: &str, time: &str) -> Claim {
        Claim {
            node: node.to_owned(),
            state: State::Written,
            station: "age1".to_owned(),
            serial: Some(1),
            index: "sha256:x".to_owned(),
            time: time.to_owned(),
            card: "SD16G".to_owned(),
            result: String::new(),
            before: None,
        }
    }

    #[test]
    fn a_card_is_noted_until_it_was_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/untold");
        let untold = Untold::open(path.clone()).unwrap();
        untold.told("here", "node-1").unwrap();
        assert!(!path.exists());
        untold.add("here", &claim("node-1", "1")).unwrap();
        untold.add("here", &claim("node-1", "2")).unwrap();
        untold.add("there", &claim("node-1", "3")).unwrap();
        // what the next run finds
        let untold = Untold::open(path.clone()).unwrap();
        assert_eq!(untold.of("here"), [claim("node-1", "2")]);
        untold.told("here", "node-1").unwrap();
        let untold = Untold::open(path.clone()).unwrap();
        assert_eq!((untold.of("here"), untold.of("there")), (vec![], vec![claim("node-1", "3")]));
        std::fs::write(&path, "[{]").unwrap();
        assert!(matches!(Untold::open(path), Err(Error::KeyFile { .. })));
    }
}
