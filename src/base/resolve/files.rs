//! Files whose size and digest are known before they are fetched: packages, indices of packages.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;

use super::missing;
use super::whole::whole;
use crate::base::cache::Cache;
use crate::base::decode::pipeline::{Source, Stop};
use crate::base::{Digest, Error, Ledger, Patience, Result};
use crate::catalog::{Hasher, shown};
use crate::error::{Classified, ErrorClass, one_line};
use crate::http::{self, Access, Agent, Download, Place, file_name, space};
use crate::io::{CancelToken, FileLock, at_once, atomic, read_small};
use crate::progress::{Progress, Silent, Step};

/// How many files are fetched at once: enough to hide the waits of small ones, and no burden for a mirror.
const PARALLEL: usize = 4;

/// What is read at once.
const PIECE: usize = 256 << 10;

/// A file that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Where it is, the best place first. The next is asked where the server has no such file, and one of another
    /// server also where this one fails.
    pub(crate) urls: Vec<Url>,
    pub(crate) digest: Digest,
    /// Size in bytes.
    pub(crate) len: u64,
}

impl Wanted {
    fn name(&self) -> String {
        self.urls.first().map(shown).unwrap_or_default()
    }
}

/// Gets files by their digests, from the cache or from the network.
pub struct Fetcher<'a> {
    /// Where they are kept.
    pub cache: &'a Cache,
    /// Never touch the network.
    pub offline: bool,
    /// How long to put up with a bad network.
    pub patience: Patience,
    /// Ends it. What was downloaded is kept.
    pub cancel: CancelToken,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
    /// What names stand for that may come to stand for something else.
    pub ledger: &'a Ledger,
}

impl<'a> Fetcher<'a> {
    /// One on a network that is as it should be, of which nobody wants to hear or to end it.
    #[must_use]
    pub fn new(cache: &'a Cache, ledger: &'a Ledger) -> Self {
        Self {
            cache,
            offline: false,
            patience: Patience::default(),
            cancel: CancelToken::default(),
            progress: &Silent,
            ledger,
        }
    }
}

impl Fetcher<'_> {
    /// The same, where `progress` is told how far it is.
    pub(crate) fn telling<'b>(&'b self, progress: &'b dyn Progress) -> Fetcher<'b> {
        let Self { cache, offline, patience, ledger, .. } = *self;
        Fetcher { cache, offline, patience, cancel: self.cancel.clone(), progress, ledger }
    }

    /// A client for the network, unless that may not be used.
    pub(crate) fn agent<'b>(&'b self, access: Access<'b>) -> Result<Option<Agent<'b>>> {
        let agent = || Ok(Agent::new(self.patience, &self.cancel, self.progress, access)?);
        if self.offline { Ok(None) } else { agent().map(Some) }
    }

    /// Where the files are in the cache, each of them whole and verified now. `what` tells what they are, as a gerund
    /// phrase ("downloading packages").
    ///
    /// # Errors
    /// [`Error`]; what was downloaded until then is kept.
    pub(crate) fn get(&self, what: &str, wanted: &[Wanted], access: Access<'_>) -> Result<Vec<PathBuf>> {
        let is_missing = |file: &&Wanted| !self.cache.file(&file.digest).exists();
        // how large they are may have been said by a stranger
        let sum = |total: u64, file: &Wanted| total.saturating_add(file.len);
        space::check(self.cache.dir(), wanted.iter().filter(is_missing).fold(0, sum))?;
        let total = wanted.iter().fold(0, sum);
        let step: Arc<dyn Step> = Arc::from(self.progress.begin(what, Some(total)));
        let progress = Together { step: Arc::clone(&step), notes: self.progress };
        // cancelled, too, when one of them fails
        let cancel = self.cancel.child();
        let agent = match self.offline {
            true => None,
            false => Some(Agent::new(self.patience, &cancel, &progress, access)?),
        };
        let lost = || Error::Worker { name: what.to_owned() };
        let done = at_once(PARALLEL, wanted.len(), &cancel, lost, |at| match wanted.get(at) {
            Some(file) => self.one(agent.as_ref(), file, &cancel, &progress),
            None => Ok(()),
        });
        self.cache.hand_over()?;
        done?;
        step.finish();
        Ok(wanted.iter().map(|file| self.cache.file(&file.digest)).collect())
    }

    /// What a name stands for, where that was written down before and is in the cache.
    ///
    /// # Errors
    /// [`Error::NotLocked`]
    pub(crate) fn pinned(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(digest) = self.ledger.pinned(name)? else { return Ok(None) };
        let Some(content) = self.cache.content(&digest, limit) else { return Ok(None) };
        self.note(name, &content)?;
        Ok(Some(content))
    }

    /// Keeps what a name was found to stand for.
    ///
    /// # Errors
    /// [`Error::Moved`], and what putting it into the cache answers.
    pub(crate) fn note(&self, name: &str, content: &[u8]) -> Result<()> {
        self.ledger.note(name, Digest::of(content))?;
        self.put(content).map(drop)
    }

    /// Puts into the cache what is known by its content alone.
    pub(crate) fn put(&self, content: &[u8]) -> Result<Digest> {
        let digest = Digest::of(content);
        let path = self.cache.file(&digest);
        // also where it is damaged
        if read_small(&path, content.len() as u64).ok().as_deref() != Some(content) {
            atomic::write_whole(&path, content).map_err(|e| space::explain(e, "writing", &path))?;
        }
        Ok(digest)
    }

    /// Waits until no other process fetches `file`.
    pub(super) fn lock(
        &self,
        file: &Wanted,
        cancel: &CancelToken,
        progress: &dyn Progress,
    ) -> Result<FileLock> {
        let waits = || {
            let name = file.name();
            progress.wait(&format!("another pibake is fetching {name}; waiting for it (Ctrl-C cancels)"));
        };
        Ok(FileLock::take(&self.cache.lock_path(&file.digest.to_string()), cancel, waits)?)
    }

    /// What to say where the network may not be used, and `file` is not here.
    pub(super) fn offline(&self, file: &Wanted) -> Error {
        Error::Offline { name: file.name(), dir: self.cache.dir().to_owned() }
    }

    fn one(
        &self,
        agent: Option<&Agent<'_>>,
        file: &Wanted,
        cancel: &CancelToken,
        progress: &Together<'_>,
    ) -> Result<()> {
        let (path, key) = (self.cache.file(&file.digest), file.digest.to_string());
        let _lock = self.lock(file, cancel, progress)?;
        if is_here(&path, file).map_err(|e| Error::io("reading", &path, e))? {
            progress.step.advance(file.len);
            return Ok(());
        }
        if self.cache.take(&file.digest, file.len)? {
            progress.step.advance(file.len);
            return Ok(());
        }
        let agent = agent.ok_or_else(|| self.offline(file))?;
        let place = self.cache.place(&key);
        Origin { agent, progress }.download(file, &place, |download, url| {
            read(download, url, file, |_| {})?;
            keep(&place, &path, Keeping::Durably)
        })
    }
}

/// What files are downloaded by, and who is told.
pub(super) struct Origin<'a> {
    pub(super) agent: &'a Agent<'a>,
    pub(super) progress: &'a dyn Progress,
}

impl Origin<'_> {
    /// Has `put` read `file` from the first of its places that has it.
    pub(super) fn download<T>(
        &self,
        file: &Wanted,
        place: &Place,
        mut put: impl FnMut(&mut Download<'_>, &Url) -> Result<T, Stop>,
    ) -> Result<T> {
        let Self { agent, progress } = *self;
        let mut first = None;
        for (at, url) in file.urls.iter().enumerate() {
            let error = match whole(agent, url, place, true, progress, |download| put(download, url)) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match file.urls.get(at + 1) {
                Some(_) if missing::is_missing(&error) => {}
                Some(next) if is_servers_fault(&error) && next.origin() != url.origin() => {
                    progress.note(&format!("{}; asking {}", one_line(&error), shown(next)));
                    first.get_or_insert(error);
                }
                _ => return Err(first.unwrap_or(error)),
            }
        }
        Err(Error::Worker { name: file.name() })
    }
}

/// Whether another server may do better.
fn is_servers_fault(error: &Error) -> bool {
    matches!(error, Error::WrongDigest { .. } | Error::Http(_))
        && matches!(error.class(), ErrorClass::Network | ErrorClass::Verification)
}

/// Reads a download to its end, and `sees` it meanwhile: it may be used only if it is what was wanted.
pub(super) fn read(
    source: &mut dyn Source,
    url: &Url,
    file: &Wanted,
    mut sees: impl FnMut(&[u8]),
) -> Result<(), Stop> {
    let (mut hasher, mut len, mut piece) = (Hasher::default(), 0, vec![0; PIECE]);
    loop {
        let count = source.read(&mut piece)?;
        let Some(new) = piece.get(..count).filter(|new| !new.is_empty()) else { break };
        hasher.update(new);
        len += count as u64;
        if len > file.len {
            return Err(http::Error::TooLarge { url: shown(url), limit: file.len }.into());
        }
        sees(new);
    }
    let actual = hasher.finish();
    if actual != file.digest {
        return Err(Error::WrongDigest { name: file_name(url), expected: file.digest, actual }.into());
    }
    Ok(())
}

/// How a file stays in the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// A loss of power does not take it away.
    Durably,
    /// It is wanted for a while. A loss of power may damage it, which is seen when it is read.
    ForNow,
}

/// Puts a download that was read to its end into the cache.
pub(super) fn keep(place: &Place, path: &Path, keeping: Keeping) -> Result<(), Stop> {
    let keep = || -> io::Result<()> {
        let part = File::open(&place.part)?;
        // nobody writes to it by mistake
        part.set_permissions(Permissions::from_mode(0o444))?;
        if keeping == Keeping::Durably {
            part.sync_all()?;
        }
        fs::rename(&place.part, path)?;
        if keeping == Keeping::Durably {
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    };
    Ok(keep().map_err(|e| space::explain(e, "putting into the cache", path))?)
}

/// Whether the cache has it. What is not what it should be is removed.
fn is_here(path: &Path, file: &Wanted) -> io::Result<bool> {
    let mut found = match File::open(path) {
        Ok(found) => found.take(file.len + 1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE]);
    loop {
        let count = found.read(&mut piece)?;
        let Some(new) = piece.get(..count).filter(|new| !new.is_empty()) else { break };
        hasher.update(new);
    }
    if hasher.finish() == file.digest {
        return Ok(true);
    }
    fs::remove_file(path)?;
    Ok(false)
}

/// Several downloads as one step.
struct Together<'a> {
    step: Arc<dyn Step>,
    notes: &'a dyn Progress,
}

impl Progress for Together<'_> {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Step> {
        Box::new(Part(Arc::clone(&self.step)))
    }

    fn note(&self, text: &str) {
        self.notes.note(text);
    }

    fn wait(&self, text: &str) {
        self.notes.wait(text);
    }

    fn warn(&self, text: &str) {
        self.notes.warn(text);
    }

    fn fail(&self, text: &str) {
        self.notes.fail(text);
    }
}

struct Part(Arc<dyn Step>);

impl Step for Part {
    fn advance(&self, n: u64) {
        self.0.advance(n);
    }

    /// What an earlier run had of it.
    fn set_position(&self, n: u64) {
        self.0.advance(n);
    }

    fn set_total(&self, _total: u64) {}

    fn finish(&self) {}
}
