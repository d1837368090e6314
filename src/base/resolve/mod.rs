//! From what was asked for to an image in the cache.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use reqwest::{StatusCode, Url, header};

use crate::base::cache::entry::Files;
use crate::base::cache::{Cache, Checked, Found, memo};
use crate::base::decode::pipeline::{self, Job, Outcome, Source, Stop};
use crate::base::decode::{self, Format, ImageObserver, limit};
use crate::base::fetch::http::Agent;
use crate::base::fetch::{Download, Place, missing};
use crate::base::verify::trust::{self, Expected, Judge};
use crate::base::{Base, Error, Options, Result, Spec, Trust, space};
use source::{Bytes, LocalFile};

mod source;

use crate::catalog::{Digest, Hasher, Image, shown};
use crate::io::atomic::remove_remnants;
use crate::io::{AtomicFile, FileLock, Folder, Stamp};
use crate::progress::{Progress, Unit};

/// The built-in image.
static SAMPLE: &[u8] = include_bytes!("../sample.img.xz");

/// How often an image is begun anew because the server's file changed or what was kept of an earlier
/// download was bad.
const MOST_RESTARTS: u32 = 3;

pub(crate) fn obtain(
    cache: &Cache,
    spec: &Spec,
    options: &Options,
    progress: &dyn Progress,
    observer: Option<&mut dyn ImageObserver>,
) -> Result<Base> {
    cache.sweep()?;
    let mut task = Task { cache, options, progress, observer };
    match spec {
        Spec::Sample => task.sample(),
        Spec::Path(path) => task.local(path),
        Spec::Release(image) => {
            let url = catalog_url(image, options)?;
            task.remote(&url, image.release.to_owned(), Some(image))
        }
        Spec::Url(url) => task.remote(url, shown(url), None),
    }
}

fn catalog_url(image: &Image, options: &Options) -> Result<Url> {
    let mirror = options.mirror.as_deref();
    let fault = |reason: String| Error::Mirror { given: mirror.unwrap_or_default().to_owned(), reason };
    let url = Url::parse(&image.url(mirror)).map_err(|e| fault(e.to_string()))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        other => Err(fault(format!("{other} is neither https nor http"))),
    }
}

struct Task<'a, 't> {
    cache: &'a Cache,
    options: &'a Options,
    progress: &'a dyn Progress,
    observer: Option<&'t mut dyn ImageObserver>,
}

/// An image under way: where the raw bytes go and what they will be called.
struct Work<'a> {
    key: String,
    name: &'a str,
    len_hint: Option<u64>,
    /// The release, if the catalog knows it.
    image: Option<&'a Image>,
    /// Size of the packed file, where it is known.
    packed_len: Option<u64>,
    expected: Option<Digest>,
}

/// What is true of a download that was cancelled.
fn cancelled(place: &Place, url: &Url, expected: Option<Digest>) -> Error {
    match place.resumable(url, expected.is_some()) {
        0 => Error::Cancelled,
        kept => Error::CancelledDownload { kept },
    }
}

impl Task<'_, '_> {
    fn sample(&mut self) -> Result<Base> {
        let (digest, name) = (Digest::of(SAMPLE), "sample");
        let _lock = self.lock(&digest.to_string(), name)?;
        let found = match self.cache.find(&digest, self.options, self.progress)? {
            Some(found) => found,
            None => {
                let len_hint = decode::xz_raw_len(&mut std::io::Cursor::new(SAMPLE)).ok().flatten();
                let work = Work {
                    key: digest.to_string(),
                    name,
                    len_hint,
                    image: None,
                    packed_len: None,
                    expected: Some(digest),
                };
                self.produce(&work, &mut Bytes(SAMPLE))?
            }
        };
        Ok(found.into_base(name.to_owned(), None, Trust::BuiltIn))
    }

    fn local(&mut self, given: &Path) -> Result<Base> {
        let opening = |source| Error::Named { path: given.to_owned(), source };
        let path = std::fs::canonicalize(given).map_err(opening)?;
        let kind = std::fs::metadata(&path).map_err(opening)?.file_type();
        if !kind.is_file() {
            let what = if kind.is_dir() { "a folder" } else { "not a regular file" };
            return Err(Error::NotAFile { path: given.to_owned(), what });
        }
        let mut file = LocalFile::open(&path, given, self.progress)?;
        let name = given.display().to_string();
        let format = file.format().map_err(|source| Error::Decode { name: name.clone(), source })?;
        let (expected, trust) = match self.options.sha256 {
            Some(digest) => (Some(digest), Trust::Given),
            None if self.options.insecure => (None, Trust::Own),
            None => trust::beside(given, self.options, self.progress)?
                .map_or((None, Trust::Own), |(digest, trust)| (Some(digest), trust)),
        };
        let compare = |actual| match expected {
            Some(expected) if expected != actual => {
                Err(Error::WrongDigest { name: name.clone(), expected, actual })
            }
            _ => Ok(()),
        };
        if format == Format::Raw {
            let (digest, checked) = self.local_digest(&path, &name, file.stamp())?;
            compare(digest)?;
            let packed_len = file.stamp().len;
            let found = Found { path, stamp: file.stamp(), checked, digest, packed_len };
            return Ok(found.into_base(name, None, trust));
        }
        let mut digest = self.remembered(&path, file.stamp());
        if digest.is_none() && self.cache.has_packed_len(file.stamp().len) {
            digest = Some(self.local_digest(&path, &name, file.stamp())?.0);
        }
        if let Some(digest) = digest {
            compare(digest)?;
        }
        let key = digest.map_or_else(|| memo::local_key(&path), |d| d.to_string());
        let _lock = self.lock(&key, &name)?;
        // another process may have found it out while the lock was waited for
        let digest = digest.or_else(|| self.remembered(&path, file.stamp()));
        if let Some(digest) = digest
            && let Some(found) = self.cache.find(&digest, self.options, self.progress)?
        {
            return Ok(found.into_base(name, None, trust));
        }
        let before = SystemTime::now();
        let len_hint = file.raw_len_hint(format)?;
        let packed_len = Some(file.stamp().len);
        limit::check(len_hint, limit::limit(None, packed_len, self.options))
            .map_err(|source| Error::Decode { name: name.clone(), source })?;
        space::check(&self.cache.images(), len_hint.unwrap_or(file.stamp().len))?;
        let expected = expected.or(digest);
        let work = Work { key, name: &name, len_hint, image: None, packed_len, expected };
        let found = self.produce(&work, &mut file)?;
        self.cache.with_memos(|m| m.remember(&path, file.stamp(), found.digest, before));
        Ok(found.into_base(name, None, trust))
    }

    /// The digest of a file that has not changed since it was found out; who asks to be thorough
    /// wants the file read all the same.
    fn remembered(&self, path: &Path, stamp: Stamp) -> Option<Digest> {
        if self.options.thorough {
            return None;
        }
        self.cache.with_memos(|m| m.digest_of(path, &stamp))
    }

    /// The digest of a file: remembered, or found out by reading all of it.
    fn local_digest(&self, path: &Path, name: &str, stamp: Stamp) -> Result<(Digest, Checked)> {
        if let Some(known) = self.remembered(path, stamp) {
            return Ok((known, Checked::Remembered));
        }
        let before = SystemTime::now();
        let digest = self.hash(path, name)?;
        if Stamp::at(path).map_err(|e| Error::io("examining", path, e))? != stamp {
            return Err(Error::Changed { path: path.to_owned() });
        }
        self.cache.with_memos(|m| m.remember(path, stamp, digest, before));
        Ok((digest, Checked::Hashed))
    }

    fn remote(&mut self, url: &Url, name: String, image: Option<&Image>) -> Result<Base> {
        let release = image.map(|i| i.release);
        let offline = || Error::Offline { name: name.clone(), dir: self.cache.dir().to_owned() };
        let mut agent = None;
        let judge = Judge { url, known: image.is_some(), options: self.options, progress: self.progress };
        let expected = match self.known_before(&judge) {
            Some(expected) => expected,
            None if self.options.offline && !self.options.insecure => return Err(offline()),
            None if self.options.offline => Expected { digest: None, trust: Trust::Nothing },
            None => {
                let agent = agent.insert(Agent::new(self.options, self.progress)?);
                let evidence = judge.fetch(agent)?;
                if let Some(image) = image
                    && evidence.sums.is_none()
                    && !agent.has(url)
                {
                    return Err(missing::no_such_release(agent, url, image, self.options));
                }
                let expected = judge.judge(&evidence)?;
                judge.keep(&self.cache.evidence(), &evidence)?;
                expected
            }
        };
        tracing::info!(name, trust = %expected.trust, digest = expected.digest.map(|d| d.to_string()), "expected");
        if let (Some(image), Some(digest)) = (image, &expected.digest)
            && !image.hint_agrees(digest)
        {
            tracing::info!(release = image.release, %digest, "the digest is not the one that others quote");
        }
        let key = expected.digest.map_or_else(|| memo::url_key(url), |d| d.to_string());
        let _lock = self.lock(&key, &name)?;
        let found = match expected.digest {
            Some(digest) => self.cache.find(&digest, self.options, self.progress)?,
            None => self.unverified_again(url, agent.as_ref())?,
        };
        if let Some(found) = found {
            return Ok(found.into_base(name, release, expected.trust));
        }
        if self.options.offline {
            return Err(offline());
        }
        let agent = match agent {
            Some(agent) => agent,
            None => Agent::new(self.options, self.progress)?,
        };
        let len_hint = image.map(|i| i.raw_len_hint);
        let expected_digest = expected.digest;
        let mut work =
            Work { key, name: &name, len_hint, image, packed_len: None, expected: expected_digest };
        let found = match self.download(&agent, url, &mut work) {
            Err(Error::Cancelled) => return Err(cancelled(&self.cache.place(&work.key), url, work.expected)),
            Err(error) if missing::is_missing(&error) => {
                return Err(match image {
                    Some(image) => missing::no_such_release(&agent, url, image, self.options),
                    None => error,
                });
            }
            downloaded => downloaded?,
        };
        Ok(found.into_base(name, release, expected.trust))
    }

    /// What is known without the network: by the user, or by evidence that an earlier run kept. That
    /// is enough offline, and online for a release, which never changes, whose image is here.
    fn known_before(&self, judge: &Judge<'_>) -> Option<Expected> {
        if let Some(digest) = self.options.sha256 {
            return Some(Expected { digest: Some(digest), trust: Trust::Given });
        }
        if !self.options.offline && !judge.known {
            return None;
        }
        // evidence that no longer convinces is fetched again
        let expected = judge.judge(&judge.kept(&self.cache.evidence())?).ok()?;
        let digest = expected.digest?;
        let here = Files::new(&self.cache.images(), &digest).load().is_some();
        (here || self.options.offline).then_some(expected)
    }

    /// The image that an address gave before, if it still gives the same.
    fn unverified_again(&self, url: &Url, agent: Option<&Agent<'_>>) -> Result<Option<Found>> {
        let Some(known) = self.cache.with_memos(|m| m.fetched(url)) else { return Ok(None) };
        if let Some(agent) = agent {
            if known.etag.is_none() && known.last_modified.is_none() {
                return Ok(None);
            }
            let answer = agent.get(url, &[], &mut agent.backoff(), |mut request| {
                if let Some(tag) = &known.etag {
                    request = request.header(header::IF_NONE_MATCH, tag);
                }
                match &known.last_modified {
                    Some(date) => request.header(header::IF_MODIFIED_SINCE, date),
                    None => request,
                }
            })?;
            if answer.status != StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
        }
        self.cache.find(&known.digest, self.options, self.progress)
    }

    fn download(&mut self, agent: &Agent<'_>, url: &Url, work: &mut Work<'_>) -> Result<Found> {
        let place = self.cache.place(&work.key);
        let mut restarts = 0;
        loop {
            let resumable = work.expected.is_some();
            let mut download = Download::open(agent, url, &place, resumable, self.progress)?;
            work.packed_len = download.total();
            if let Some(total) = download.total() {
                let raw = work.len_hint.unwrap_or(total);
                let needed = (total - download.kept().min(total)).saturating_add(raw);
                space::check(&self.cache.images(), needed).inspect_err(|_| {
                    if download.kept() == 0 {
                        place.clear();
                    }
                })?;
            }
            let fault = match self.run(work, &mut download) {
                Ok(found) => {
                    let validators = download.validators();
                    if work.expected.is_none() {
                        self.cache.with_memos(|m| m.remember_fetched(url, found.digest, validators));
                    }
                    place.clear();
                    return Ok(found);
                }
                Err(fault) => fault,
            };
            let again = match &fault {
                Stop::Restart => Some("the file on the server changed"),
                Stop::Failed(Error::WrongDigest { .. } | Error::Decode { .. }) if download.is_joined() => {
                    Some("what was put together of several transfers is not good")
                }
                Stop::Failed(_) => None,
            };
            match (again, fault) {
                (Some(reason), _) if restarts < MOST_RESTARTS => {
                    self.progress.note(&format!("{reason}; restarting from the beginning"));
                    place.clear();
                    restarts += 1;
                }
                (_, Stop::Restart) => {
                    let reason = "the file on the server changes all the time".to_owned();
                    return Err(Error::Network { url: shown(url), reason, attempts: restarts + 1 });
                }
                (_, Stop::Failed(error)) => {
                    // an interrupted one is taken up later, a bad one never becomes good
                    if matches!(error, Error::WrongDigest { .. } | Error::Decode { .. }) {
                        place.clear();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// As [`Self::run`], for sources that cannot change on their way.
    fn produce(&mut self, work: &Work<'_>, source: &mut dyn Source) -> Result<Found> {
        self.run(work, source).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Restart => Error::Worker { name: work.name.to_owned() },
        })
    }

    /// Unpacks `source` into the cache. The caller holds the lock of `work.key`.
    fn run(&mut self, work: &Work<'_>, source: &mut dyn Source) -> Result<Found, Stop> {
        let path = self.cache.images().join(format!("{}.img", work.key));
        // one that was killed while this one waited for it has left a whole image's worth
        let name = format!("{}.img", work.key);
        let image = Folder::open(&self.cache.images())
            .and_then(|images| remove_remnants(&images, |remnant| remnant == name))
            .and_then(|_| AtomicFile::within(&self.cache.images(), &name))
            .map_err(|e| space::explain(e, "creating", &path))?;
        let job = Job {
            name: work.name,
            file: image.file(),
            path: &path,
            len_hint: work.len_hint,
            limit: limit::limit(work.image, work.packed_len, self.options),
            expected: work.expected,
            cancel: &self.options.cancel,
        };
        let observer = self.observer.as_mut().map(|o| &mut **o as &mut dyn ImageObserver);
        let outcome = pipeline::run(&job, source, observer)?;
        Ok(self.commit(work, image, &outcome)?)
    }

    fn commit(&self, work: &Work<'_>, image: AtomicFile, outcome: &Outcome) -> Result<Found> {
        let digest = outcome.digest;
        // always in this order, the image's own last, so that no two wait for each other
        let _lock = match digest.to_string() {
            own if own != work.key => Some(self.lock(&own, work.name)?),
            _ => None,
        };
        let files = Files::new(&self.cache.images(), &digest);
        let there = files.load().is_some_and(|e| e.look(&files.image).is_ok_and(|(_, same)| same));
        if !there {
            files.commit(image, work.name, outcome)?;
        }
        tracing::info!(name = work.name, %digest, bytes = outcome.raw.len, "put into the cache");
        let stamp = Stamp::at(&files.image).map_err(|e| Error::io("examining", &files.image, e))?;
        let checked = Checked::Unpacked;
        Ok(Found { path: files.image, stamp, checked, digest, packed_len: outcome.packed_len })
    }

    fn lock(&self, key: &str, what: &str) -> Result<FileLock> {
        let waits = || {
            self.progress
                .note(&format!("another pibake is preparing {what}; waiting for it (Ctrl-C cancels)"))
        };
        Ok(FileLock::take(&self.cache.lock_path(key), &self.options.cancel, waits)?)
    }

    /// The digest of a file, found out by reading all of it.
    fn hash(&self, path: &Path, name: &str) -> Result<Digest> {
        let io = |e| Error::io("reading", path, e);
        let mut file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let step = self.progress.begin(&format!("reading {name}"), Unit::Bytes, Some(len));
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 20];
        loop {
            self.options.cancel.check()?;
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    hasher.update(buffer.get(..n).unwrap_or_default());
                    step.advance(n as u64);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(io(e)),
            }
        }
        step.finish();
        Ok(hasher.finish())
    }
}
