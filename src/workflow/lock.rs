//! pibake.lock: what is baked in so that nodes need no network, by its digests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use super::change::Change;
use crate::base::{Base, Ledger};
use crate::catalog::{Digest, Release, Spec};
use crate::io::folder::parent;
use crate::io::{Folder, Owner};
use crate::payload::Payload;
use crate::project::{FILE, Project};

/// Of what follows.
const VERSION: u32 = 1;
/// A lock has a few lines for each package and each image.
const LARGEST: u64 = 4 << 20;
const HEAD: &str =
    "# What pibake baked, by its digests. pibake update moves it on; commit it beside the description.\n";

/// What is baked, by its digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    version: u32,
    /// The base image, by its name: its file as it was published.
    base: BTreeMap<String, Digest>,
    /// What decides about the rest: repositories' signed lists, their keys, and what the names of images stand for.
    inputs: BTreeMap<String, Digest>,
    /// The packages of nodes of any role, which follow from that.
    packages: BTreeMap<String, Package>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    version: String,
    sha256: Digest,
}

impl Lock {
    /// The lock of what was fetched: `inputs` are what names stood for on the way.
    fn new((name, base): (&str, &Base), inputs: BTreeMap<String, Digest>, payload: Option<&Payload>) -> Self {
        let package = |name: &String, version: &String, sha256: Digest| {
            (name.clone(), Package { version: version.clone(), sha256 })
        };
        let packages = payload.into_iter().flat_map(Payload::packages);
        let packages = packages.map(|p| package(&p.package, &p.version, p.sha256)).collect();
        let base = BTreeMap::from([(name.to_owned(), base.digest)]);
        Self { version: VERSION, base, inputs, packages }
    }

    /// What is otherwise in another lock, by name.
    fn changes(before: Option<&Self>, after: &Self) -> Vec<Change> {
        let lines = |lock: Option<&Self>| lock.map(Self::lines).unwrap_or_default();
        let (old, new) = (lines(before), lines(Some(after)));
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let change = |name: &String| {
            let (before, after) = (old.get(name).cloned(), new.get(name).cloned());
            (before != after).then(|| Change { what: name.clone(), before, after })
        };
        names.into_iter().filter_map(change).collect()
    }

    /// Each thing in it, and what it is.
    fn lines(&self) -> BTreeMap<String, String> {
        let base = self.base.iter().map(|(name, digest)| (format!("the base image {name}"), short(digest)));
        let inputs = self.inputs.iter().map(|(name, digest)| (name.clone(), short(digest)));
        let packages = self.packages.iter().map(|(name, package)| {
            (format!("the package {name}"), format!("{} ({})", package.version, short(&package.sha256)))
        });
        base.chain(inputs).chain(packages).collect()
    }
}

/// The beginning of a digest, for people.
fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    format!("sha256:{}", text.get(..12).unwrap_or(&text))
}

/// The lock of a description, where it is heeded.
#[derive(Debug)]
pub(super) struct Locking {
    path: PathBuf,
    /// The base image that the description asks for.
    asked: Spec,
    /// What was there.
    lock: Option<Lock>,
    /// Nothing else is accepted, and nothing is written.
    is_strict: bool,
}

impl Locking {
    /// Reads the lock beside the description.
    pub(super) fn open(project: &Project, is_strict: bool) -> Result<Self, Error> {
        let path = lock_path(project);
        let lock = read(&path)?;
        match lock {
            None if is_strict => Err(Error::NoLock { path }),
            lock => Ok(Self { path, asked: project.cluster.base.image.clone(), lock, is_strict }),
        }
    }

    /// The same where another one is to take its place; one that cannot be read is none.
    pub(super) fn anew(project: &Project) -> Self {
        let path = lock_path(project);
        let lock = read(&path).ok().flatten();
        Self { path, asked: project.cluster.base.image.clone(), lock, is_strict: false }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which base image it must be, and its digest: of a series the point release that was its newest.
    pub(super) fn base(&self) -> Option<(Spec, Digest)> {
        let locked = &self.lock.as_ref()?.base;
        if let Some(digest) = locked.get(&name_of(&self.asked)) {
            return Some((self.asked.clone(), *digest));
        }
        let Spec::Release(asked) = self.asked else { return None };
        locked.iter().find_map(|(name, digest)| {
            let release = Release::parse(name).filter(|r| asked.is_series() && r.series() == asked)?;
            Some((Spec::Release(release), *digest))
        })
    }

    /// What the lock calls a base image that was obtained.
    fn name(&self, base: &Base) -> String {
        base.release.map_or_else(|| name_of(&self.asked), |release| release.to_string())
    }

    /// What names must stand for.
    pub(super) fn ledger(&self) -> Ledger {
        let inputs = self.lock.as_ref().map(|lock| lock.inputs.clone()).unwrap_or_default();
        Ledger::new(inputs, self.is_strict)
    }

    /// Holds what was fetched against the lock, or writes it there; says whether it wrote. Names that were not asked
    /// for this time stay, since fewer nodes need fewer of them.
    pub(super) fn settle(
        &self,
        base: &Base,
        ledger: &Ledger,
        payload: Option<&Payload>,
    ) -> Result<bool, Error> {
        let old = self.lock.as_ref();
        let mut inputs = old.map(|lock| lock.inputs.clone()).unwrap_or_default();
        inputs.extend(ledger.found());
        let mut now = Lock::new((&self.name(base), base), inputs, payload);
        if payload.is_none() {
            now.packages = old.map(|lock| lock.packages.clone()).unwrap_or_default();
        }
        if old == Some(&now) {
            return Ok(false);
        }
        if self.is_strict {
            let changes = Lock::changes(old, &now);
            return Err(Error::Unlocked { path: self.path.clone(), changes });
        }
        self.write(&now)?;
        Ok(true)
    }

    /// Makes what was fetched the lock; gives what is another one now.
    pub(super) fn renew(
        &self,
        base: &Base,
        ledger: &Ledger,
        payload: Option<&Payload>,
    ) -> Result<Vec<Change>, Error> {
        let lock = Lock::new((&self.name(base), base), ledger.found(), payload);
        let changes = Lock::changes(self.lock.as_ref(), &lock);
        if self.lock.as_ref() != Some(&lock) {
            self.write(&lock)?;
        }
        Ok(changes)
    }

    fn write(&self, lock: &Lock) -> Result<(), Error> {
        let failed = |source| Error::WritingLock { path: self.path.clone(), source };
        let text = toml::to_string(lock).map_err(|e| failed(std::io::Error::other(e)))?;
        let dir = parent(&self.path);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let folder = Folder::open(dir).map_err(failed)?;
        folder
            .replace(&name, (HEAD.to_owned() + &text).as_bytes(), 0o666, Owner::of_new_in(dir))
            .map_err(failed)
    }
}

/// Where the lock of a project is: beside its description, under the name of that.
#[must_use]
pub fn lock_path(project: &Project) -> PathBuf {
    let usual = project.place.dir.join(FILE);
    project.place.file.as_deref().unwrap_or(&usual).with_extension("lock")
}

/// What the base image is called, from wherever the program is run.
fn name_of(image: &Spec) -> String {
    match image {
        Spec::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        spec => spec.to_string(),
    }
}

fn read(path: &Path) -> Result<Option<Lock>, Error> {
    let failed = |reason: String| Error::ReadingLock { path: path.to_owned(), reason };
    let bytes = match crate::io::read_small(path, LARGEST) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| failed(e.to_string()))?,
    };
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    let lock: Lock = toml::from_str(&text).map_err(|e| failed(e.to_string().trim_end().to_owned()))?;
    if lock.version != VERSION {
        return Err(failed(format!("it is of version {}, and this pibake knows {VERSION}", lock.version)));
    }
    Ok(Some(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(inputs: &[(&str, &str)], kubeadm: &str) -> Lock {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let inputs = inputs.iter().map(|(name, text)| ((*name).to_owned(), digest(text))).collect();
        let package = Package { version: kubeadm.to_owned(), sha256: digest(kubeadm) };
        Lock {
            version: VERSION,
            base: BTreeMap::from([("20.04.5".to_owned(), digest("base"))]),
            inputs,
            packages: BTreeMap::from([("kubeadm".to_owned(), package)]),
        }
    }

    #[test]
    fn what_has_changed_is_named_with_what_it_was() {
        let old = lock(&[("the image a:1", "x"), ("the key k", "y")], "1.34.1");
        let new = lock(&[("the image a:1", "z"), ("the image b:1", "y")], "1.34.2");
        let changes = Lock::changes(Some(&old), &new);
        let names: Vec<_> = changes.iter().map(|change| change.what.as_str()).collect();
        assert_eq!(names, ["the image a:1", "the image b:1", "the key k", "the package kubeadm"]);
        assert!(changes[0].before.is_some() && changes[0].after.is_some());
        assert!(changes[1].before.is_none() && changes[2].after.is_none());
        assert!(changes[3].after.as_ref().unwrap().starts_with("1.34.2 (sha256:"));
        assert_eq!(Lock::changes(Some(&old), &old), []);
        assert_eq!(Lock::changes(None, &old).len(), 4);
    }

    #[test]
    fn a_series_is_the_point_release_that_it_was() {
        let spec = |text: &str| text.parse::<Spec>().unwrap();
        let locking = |asked: &str| Locking {
            path: PathBuf::new(),
            asked: spec(asked),
            lock: Some(lock(&[], "1.34.1")),
            is_strict: true,
        };
        let locked = Some((spec("20.04.5"), Digest::of(b"base")));
        assert_eq!(locking("20.04").base(), locked);
        assert_eq!(locking("20.04.5").base(), locked);
        for other in ["20.04.4", "22.04", "22.04.5", "sample"] {
            assert_eq!(locking(other).base(), None, "{other}");
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pibake.lock");
        assert!(read(&path).unwrap().is_none());
        let locking = Locking { path: path.clone(), asked: Spec::Sample, lock: None, is_strict: false };
        let written = lock(&[("the image a:1", "x")], "1.34.1");
        locking.write(&written).unwrap();
        assert_eq!(read(&path).unwrap(), Some(written));
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to, words) in [
            ("version = 1\n", "version = 2\n", "version 2"),
            ("[base]", "[bases]", "unknown field"),
            ("sha256 = \"", "sha256 = \"zz", "SHA-256"),
        ] {
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let error = crate::error::one_line(&read(&path).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }
}
