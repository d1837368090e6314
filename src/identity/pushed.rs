//! What `.pibake` keeps of a cluster that lies in registries: the key that it is signed with, and the number that each
//! name had last.

use std::collections::BTreeMap;

use super::error::Error;
use super::store::Store;
use super::store_file::StoreFile;
use crate::cluster::Secret;
use crate::io::Folder;

impl Store {
    /// What the cluster is signed with where it lies in a registry; made by `make` where there is none yet.
    pub fn fleet_key(
        &self,
        make: impl FnOnce() -> Result<String, getrandom::Error>,
    ) -> Result<Secret, Error> {
        let _lock = self.lock()?;
        let kept = self.kept()?;
        match self.file(&kept, StoreFile::FleetKey) {
            Err(Error::Incomplete { .. }) => {
                let text = make()?;
                self.replace(&kept, StoreFile::FleetKey, &text)?;
                Ok(Secret::new(text))
            }
            found => found.map(Secret::new),
        }
    }

    /// The number that was last put into a registry under this name; 0 where none was. A registry may lose its own.
    pub fn fleet_number(&self, name: &str) -> Result<u64, Error> {
        Ok(self.fleet_numbers(&self.kept()?)?.get(name).copied().unwrap_or_default())
    }

    /// Notes it; a number lower than the one that is noted changes nothing.
    pub fn note_fleet_number(&self, name: &str, number: u64) -> Result<(), Error> {
        let _lock = self.lock()?;
        let kept = self.kept()?;
        let mut numbers = self.fleet_numbers(&kept)?;
        let noted = numbers.entry(name.to_owned()).or_default();
        *noted = number.max(*noted);
        // both on a line
        let lines: Vec<String> = numbers.iter().map(|(name, number)| format!("{number} {name}\n")).collect();
        self.replace(&kept, StoreFile::FleetNumbers, &lines.concat())
    }

    fn fleet_numbers(&self, kept: &Folder) -> Result<BTreeMap<String, u64>, Error> {
        let text = match self.file(kept, StoreFile::FleetNumbers) {
            Err(Error::Incomplete { .. }) => return Ok(BTreeMap::new()),
            found => found?,
        };
        // what cannot be read is as if it were not there: the registry has the number, too
        let line = |line: &str| {
            let (number, name) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Ok(text.lines().filter_map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{DirBuilder, Permissions};
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;

    #[test]
    fn each_name_has_a_number_that_only_grows() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join(".pibake");
        DirBuilder::new().mode(0o700).create(&own).unwrap();
        let store = Store::new(&own);
        let [home, blue] = ["oci://r.example/home:latest", "oci://r.example/home:blue"];
        assert_eq!(store.fleet_number(home).unwrap(), 0);
        for number in [1, 17, 5] {
            store.note_fleet_number(home, number).unwrap();
        }
        store.note_fleet_number(blue, 2).unwrap();
        assert_eq!([home, blue].map(|name| store.fleet_number(name).unwrap()), [17, 2]);
        let text = format!("x\n\n-1 {home}\n3 {blue}\n");
        std::fs::write(store.path(StoreFile::FleetNumbers), text).unwrap();
        assert_eq!([home, blue].map(|name| store.fleet_number(name).unwrap()), [0, 3]);
        std::fs::set_permissions(store.path(StoreFile::FleetNumbers), Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(store.fleet_number(home), Err(Error::Exposed { .. })));
    }
}
