//! The store's part of a copy.

use std::path::Path;

use crate::error::{Doing, ErrorClass, Failure};
use crate::identity::{STORE_FILE_MAX, StoreFile};
use crate::io::atomic::is_temporary;
use crate::io::{Folder, Owner};
use crate::progress::Progress;

/// Copies all files of the `store` that last as long as the cluster. Whatever else is in its folder is none of pibake's,
/// and is named.
pub(super) fn copy(
    store: &Path,
    to: &Folder,
    owner: Option<Owner>,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let copying = |path: &Path| format!("copying {}", path.display());
    let from = Folder::open(store).doing(|| copying(store))?;
    for file in StoreFile::ALL.iter().filter(|file| file.is_lasting()) {
        let (name, path) = (file.name(), store.join(file.name()));
        if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            let text = format!("{} is not a plain file, as pibake keeps it: move it away", path.display());
            return Err(Failure::refused(text));
        }
        // Not every store has each.
        let Some(content) = from.read(name, STORE_FILE_MAX + 1).doing(|| copying(&path))? else { continue };
        if content.len() as u64 > STORE_FILE_MAX {
            let text = format!("{} is larger than pibake ever makes it: move it away", path.display());
            return Err(Failure::new(ErrorClass::Damaged, text));
        }
        to.write_new(name, &content, 0o600, owner).doing(|| copying(&path))?;
    }
    for name in from.names().doing(|| copying(store))? {
        let is_ours = name.to_str().and_then(StoreFile::named).is_some() || is_temporary(&name);
        if !is_ours {
            progress.note(&format!("{} is not pibake's, and not in the copy", store.join(&name).display()));
        }
    }
    to.sync().doing(|| copying(store))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::progress::Silent;

    #[test]
    fn a_copy_has_what_the_store_owns_and_nothing_else() {
        let desk = tempfile::tempdir().unwrap();
        let [store, copy] = ["store", "copy"].map(|name| desk.path().join(name));
        for dir in [&store, &copy] {
            fs::create_dir(dir).unwrap();
        }
        let mut wanted: Vec<&str> = Vec::new();
        for file in StoreFile::ALL {
            fs::write(store.join(file.name()), "a secret").unwrap();
            wanted.extend(file.is_lasting().then(|| file.name()));
        }
        wanted.sort_unstable();
        // what was of one moment, and what is the user's
        assert!(!wanted.contains(&"lent.conf") && wanted.len() + 1 == StoreFile::ALL.len());
        fs::write(store.join(".token.0123abcd.tmp"), "half").unwrap();
        fs::write(store.join("large"), vec![0; (1 << 20) + 1]).unwrap();
        fs::create_dir(store.join("notes")).unwrap();
        symlink("/etc/passwd", store.join("link")).unwrap();
        let told = Told::default();
        super::copy(&store, &Folder::open(&copy).unwrap(), None, &told).unwrap();
        let mut names: Vec<_> = Folder::open(&copy).unwrap().names().unwrap();
        names.sort();
        assert_eq!(names, wanted);
        let mut told = told.0.into_inner().unwrap();
        told.sort();
        let note =
            |name: &str| format!("{} is not pibake's, and not in the copy", store.join(name).display());
        assert_eq!(told, ["large", "link", "notes"].map(note));
    }

    /// What was noted.
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<String>>);

    impl Progress for Told {
        fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn crate::progress::Step> {
            Box::new(Silent)
        }
        fn note(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
        fn wait(&self, _text: &str) {}
        fn warn(&self, _text: &str) {}
        fn fail(&self, _text: &str) {}
    }
}
