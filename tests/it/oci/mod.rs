//! Container images: from Debian's registry filled by skopeo, from a server that fails on demand, into a containerd.

mod faulty;
mod import;
pub(crate) mod layout;
mod real;
pub(crate) mod registry;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use pibake::base::{Cache, Fetcher, Ledger, Patience};
use pibake::error::one_line;
use pibake::oci::{self, Archive, Credentials, Image};
use pibake::progress::{Progress, Silent, Step};
use pibake::registry::Reference;

/// Who pulls: a cache, logins and mirrors of its own.
struct Machine {
    dir: tempfile::TempDir,
    mirrors: BTreeMap<String, Vec<String>>,
    credentials: Credentials,
    offline: bool,
    notes: Notes,
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Step> {
        Box::new(Silent)
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    fn wait(&self, text: &str) {
        self.note(text);
    }

    fn warn(&self, text: &str) {
        self.note(text);
    }

    fn fail(&self, text: &str) {
        self.note(text);
    }
}

impl Machine {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            mirrors: BTreeMap::new(),
            credentials: Credentials::default(),
            offline: false,
            notes: Notes::default(),
        }
    }

    fn mirror(mut self, registry: &str, addresses: &[String]) -> Self {
        self.mirrors.insert(registry.to_owned(), addresses.to_vec());
        self
    }

    /// Logged in as `docker login` would write it down.
    fn login(mut self, registry: &str, name: &str, password: &str) -> Self {
        let path = self.dir.path().join("config.json");
        let config = serde_json::json!({"auths": {registry: {"username": name, "password": password}}});
        std::fs::write(&path, config.to_string()).unwrap();
        self.credentials = Credentials::read(&path).unwrap();
        self
    }

    fn with<T>(&self, work: impl FnOnce(&Fetcher<'_>) -> T) -> T {
        let cache = Cache::open(&self.dir.path().join("cache")).unwrap();
        let patience = Patience { attempts: 3, stall: Duration::from_secs(5) };
        let (offline, ledger) = (self.offline, Ledger::default());
        work(&Fetcher { offline, patience, progress: &self.notes, ..Fetcher::new(&cache, &ledger) })
    }

    fn pull(&self, names: &[&str]) -> oci::Result<Vec<Image>> {
        let names: Vec<Reference> = names.iter().map(|name| name.parse().unwrap()).collect();
        self.with(|fetcher| oci::pull(fetcher, &self.mirrors, &self.credentials, &names))
    }

    /// Pulls one image, and says why it cannot.
    fn refused(&self, name: &str) -> String {
        one_line(&self.pull(&[name]).expect_err("it was pulled"))
    }

    /// The files in a folder of the cache.
    fn kept(&self, folder: &str) -> Vec<PathBuf> {
        let list = std::fs::read_dir(self.dir.path().join("cache").join(folder)).unwrap();
        list.map(|entry| entry.unwrap().path()).collect()
    }

    /// Each part is there once, and is what its name says.
    fn assert_whole(&self, images: &[Image]) {
        for image in images {
            for blob in image.blobs() {
                let path = self.dir.path().join("cache/files").join(blob.digest.to_string());
                let bytes = std::fs::read(&path).unwrap();
                assert_eq!(bytes.len() as u64, blob.len);
                assert_eq!(support::fetching::sha256(&bytes), blob.digest.to_string());
            }
        }
        assert_eq!(self.kept("downloads"), Vec::<PathBuf>::new());
    }

    /// The archive of these images.
    fn archive(&self, images: &[Image]) -> PathBuf {
        let path = self.dir.path().join("images.tar");
        let archive = Archive::of(images).unwrap();
        let mut file = std::fs::File::create(&path).unwrap();
        self.with(|fetcher| std::io::copy(&mut archive.read(fetcher.cache), &mut file)).unwrap();
        assert_eq!(file.metadata().unwrap().len(), archive.size());
        path
    }

    fn has_noted(&self, words: &str) -> bool {
        self.notes.0.lock().unwrap().iter().any(|note| note.contains(words))
    }
}
