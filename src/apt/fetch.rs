//! From the addresses of repositories to a [`Universe`], and from a [`Plan`] to files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use reqwest::Url;

use super::address::below;
use super::control::{ControlError, Stanza, Stanzas};
use super::error::Error;
use super::index::Field;
use super::release::{Layout, Packing, Release, Wanted};
use super::resolve::{Install, Plan};
use super::universe::{Source, Universe};
use crate::base::{self, Digest, Fetcher, Keyring, SignatureError};
use crate::catalog::shown;
use crate::http::{Access, Purpose};
use crate::io::{atomic, read_small};

/// What is fetched here, for the errors of HTTP.
static PURPOSE: Purpose = Purpose {
    what: "a file of the repository",
    check: "the address of the repository",
    mirror: "[sources]",
    by_hand: None,
};

/// No Release file or signature comes near this size: Debian's and Ubuntu's have 300 KiB at most.
const LARGEST_RELEASE: u64 = 1 << 20;

/// The most that an index may unpack to whose unpacked size is not listed. Debian's largest has 60 MiB.
const LARGEST_INDEX: u64 = 1 << 30;

/// Where packages come from, as a line of sources.list with the keys that are accepted for it.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The address: what packages' paths start at.
    pub url: Url,
    /// Which part of the server it is.
    pub layout: Layout,
    /// Who may sign it.
    pub keyring: Keyring,
}

impl Repository {
    /// The folder that has its Release file.
    fn folder(&self) -> Result<Url, Error> {
        match &self.layout {
            Layout::Suite { name, .. } => self.join(&self.url, &format!("dists/{name}")),
            Layout::Flat => Ok(self.url.clone()),
        }
    }

    fn join(&self, folder: &Url, path: &str) -> Result<Url, Error> {
        below(folder, path).ok_or_else(|| Error::Address { url: shown(&self.url), path: path.to_owned() })
    }
}

/// Release files as they came: one with its signature around it, or two.
struct Signed {
    text: Vec<u8>,
    signature: Option<Vec<u8>>,
}

impl Signed {
    /// What is signed, if the signature holds.
    fn verify(&self, keyring: &Keyring) -> Result<Vec<u8>, SignatureError> {
        match &self.signature {
            Some(signature) => {
                keyring.verify(&self.text, signature, SystemTime::now()).map(|_| self.text.clone())
            }
            None => {
                keyring.verify_cleartext(&self.text, SystemTime::now()).map(|(text, _)| text.into_bytes())
            }
        }
    }

    /// What was accepted from `folder` the last time.
    fn kept(fetcher: &Fetcher<'_>, folder: &Url) -> Option<Self> {
        let [text, signature] =
            Self::files(fetcher, folder).map(|path| read_small(&path, LARGEST_RELEASE).ok());
        Some(Self { text: text?, signature })
    }

    fn keep(&self, fetcher: &Fetcher<'_>, folder: &Url) -> base::Result<()> {
        let [text, signature] = Self::files(fetcher, folder);
        let write = |path: &Path, bytes: &[u8]| {
            atomic::write_whole(path, bytes).map_err(|e| base::Error::io("writing", path, e))
        };
        // an old signature never meets a new list for longer than this takes, and then does not fit
        match &self.signature {
            Some(bytes) => write(&signature, bytes)?,
            None => drop(std::fs::remove_file(&signature)),
        }
        write(&text, &self.text)
    }

    fn files(fetcher: &Fetcher<'_>, folder: &Url) -> [PathBuf; 2] {
        let key = Digest::of(shown(folder).as_bytes());
        ["release", "release.gpg"].map(|end| fetcher.cache.evidence().join(format!("{key}.{end}")))
    }
}

/// The indices of repositories, in the cache, whole and verified.
#[derive(Debug)]
pub struct Lists {
    architecture: String,
    /// In the order of a list of sources, which decides between equal versions.
    indices: Vec<Index>,
}

#[derive(Debug)]
struct Index {
    file: base::Wanted,
    wanted: Wanted,
    source: Source,
    path: PathBuf,
}

/// Fetches what all of these repositories have for machines of this architecture (in Debian's words, as `arm64`).
/// They are in the order of a list of sources. Offline, what was accepted the last time is taken as it is, however
/// old.
///
/// # Errors
/// What cannot be fetched, is not signed, not valid now, or damaged.
pub fn lists(fetcher: &Fetcher<'_>, repositories: &[Repository], architecture: &str) -> Result<Lists, Error> {
    let mut found = Vec::new();
    for repository in repositories {
        let folder = repository.folder()?;
        let release = release(fetcher, repository, &folder)?;
        let wanted = release
            .wanted(&repository.layout, architecture)
            .map_err(|source| Error::Release { url: shown(&folder), source })?;
        for wanted in wanted {
            let urls: Result<Vec<Url>, Error> =
                wanted.paths.iter().map(|path| repository.join(&folder, path)).collect();
            let source = release.source(&wanted.component, &repository.url);
            let file = base::Wanted { urls: urls?, digest: wanted.packed.sha256, len: wanted.packed.size };
            found.push((file, wanted, source));
        }
    }
    let files: Vec<base::Wanted> = found.iter().map(|(file, ..)| file.clone()).collect();
    let paths = fetcher.get("downloading lists of packages", &files, Access::anonymous(&PURPOSE))?;
    let index = |((file, wanted, source), path)| Index { file, wanted, source, path };
    let indices = found.into_iter().zip(paths).map(index).collect();
    Ok(Lists { architecture: architecture.to_owned(), indices })
}

impl Lists {
    /// All packages that they have.
    ///
    /// # Errors
    /// An index that is damaged, or unpacks to more than it should.
    pub fn universe(&self) -> Result<Universe, Error> {
        let mut universe = Universe::new(&self.architecture);
        for index in &self.indices {
            index.read(|stanzas| universe.add_index(stanzas, index.source.clone()))?;
        }
        Ok(universe)
    }

    /// An index of the packages of a plan alone, with all that theirs say of them but for where they are: `place`
    /// gives the path of each, from the folder that the index is for.
    ///
    /// # Errors
    /// As for [`Self::universe`].
    pub fn excerpt(&self, plan: &Plan, place: impl Fn(&Install) -> String) -> Result<Vec<u8>, Error> {
        let mut missing: BTreeMap<Digest, &Install> =
            plan.install.iter().map(|package| (package.sha256, package)).collect();
        let mut stanzas = BTreeMap::new();
        for index in &self.indices {
            index.read(|reader| {
                let mut found = Stanzas::new(reader);
                while let Some(stanza) = found.next()? {
                    let digest =
                        stanza.get(Field::Sha256.name())?.and_then(|text| text.parse::<Digest>().ok());
                    let Some(package) = digest.and_then(|digest| missing.remove(&digest)) else { continue };
                    let text = with_place(&stanza, &place(package))?;
                    stanzas.insert(&package.package, text);
                }
                Ok(())
            })?;
        }
        Ok(stanzas.into_values().flatten().collect())
    }
}

/// A stanza with another `Filename`.
fn with_place(stanza: &Stanza<'_>, place: &str) -> Result<Vec<u8>, ControlError> {
    let mut text = Vec::new();
    for field in stanza.fields() {
        let field = field?;
        let is_place = field.name.eq_ignore_ascii_case(Field::FileName.name().as_bytes());
        let value = if is_place { place.as_bytes() } else { field.value };
        for part in [field.name, b": ", value, b"\n"] {
            text.extend_from_slice(part);
        }
    }
    text.push(b'\n');
    Ok(text)
}

impl Index {
    /// Has its stanzas read, and no more bytes than it may have.
    fn read<T>(&self, read: impl FnOnce(&mut dyn BufRead) -> Result<T, ControlError>) -> Result<T, Error> {
        let url = || self.file.urls.last().map(shown).unwrap_or_default();
        let limit = self.wanted.unpacked.unwrap_or(LARGEST_INDEX);
        let file =
            unpacked(&self.wanted, &self.path).map_err(|e| base::Error::io("opening", &self.path, e))?;
        let mut reader = BufReader::new(file.take(limit.saturating_add(1)));
        let done = read(&mut reader);
        if reader.get_ref().limit() == 0 {
            return Err(Error::Unpacked { url: url(), limit });
        }
        done.map_err(|source| Error::Index { url: url(), source })
    }
}

/// The files of a plan's packages, in the cache, whole and verified.
///
/// # Errors
/// What cannot be fetched or is not what its index promises.
pub fn files(fetcher: &Fetcher<'_>, plan: &Plan) -> Result<Vec<PathBuf>, Error> {
    let wanted = plan.install.iter().map(|package| base::Wanted {
        urls: vec![package.url.clone()],
        digest: package.sha256,
        len: package.size,
    });
    Ok(fetcher.get("downloading packages", &wanted.collect::<Vec<_>>(), Access::anonymous(&PURPOSE))?)
}

/// The Release file of a repository, if it is signed and true now.
fn release(fetcher: &Fetcher<'_>, repository: &Repository, folder: &Url) -> Result<Release, Error> {
    let url = shown(folder);
    let fault = |source| Error::Release { url: url.clone(), source };
    // what is written down was verified then; the key that signed it may have expired since
    let name = format!("the repository {url}");
    if let Some(text) = fetcher.pinned(&name, LARGEST_RELEASE)? {
        return Release::read(&text).map_err(fault);
    }
    let verify = |signed: &Signed| {
        let verified = signed.verify(&repository.keyring);
        verified.map_err(|source| base::Error::Signature { url: url.clone(), source })
    };
    let read = |signed: &Signed| -> Result<Release, Error> { Release::read(&verify(signed)?).map_err(fault) };
    let note = |signed: &Signed| -> Result<(), Error> { Ok(fetcher.note(&name, &verify(signed)?)?) };
    let kept = Signed::kept(fetcher, folder);
    let Some(agent) = fetcher.agent(Access::anonymous(&PURPOSE))? else {
        let offline = || base::Error::Offline { name: url.clone(), dir: fetcher.cache.dir().to_owned() };
        let kept = kept.ok_or_else(offline)?;
        note(&kept)?;
        return read(&kept);
    };
    let fetch = |name: &str| -> Result<Option<Vec<u8>>, Error> {
        let file = repository.join(folder, name)?;
        Ok(agent
            .document(&file, LARGEST_RELEASE, "a repository's Release file")
            .map_err(base::Error::from)?)
    };
    let signed = match fetch("InRelease")? {
        Some(text) => Signed { text, signature: None },
        None => {
            let text = fetch("Release")?.ok_or_else(|| Error::NoRepository { url: url.clone() })?;
            let signature = fetch("Release.gpg")?.ok_or_else(|| Error::Unsigned { url: url.clone() })?;
            Signed { text, signature: Some(signature) }
        }
    };
    let release = read(&signed)?;
    // one that no longer convinces says nothing of what came before
    let seen = kept.and_then(|kept| read(&kept).ok()).map(|kept| kept.date());
    note(&signed)?;
    // what is written down was valid then
    if !fetcher.ledger.has(&name) {
        release.check(&repository.layout, SystemTime::now(), seen).map_err(fault)?;
    }
    signed.keep(fetcher, folder)?;
    Ok(release)
}

fn unpacked(index: &Wanted, path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    Ok(match index.packing {
        Packing::Xz => Box::new(XzDecoder::new_multi_decoder(file)),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Packing::None => Box::new(file),
    })
}
