//! Images from the network.

use reqwest::{StatusCode, Url, header};

use super::missing;
use super::task::{Task, Work, named};
use super::whole::whole;
use crate::base::cache::{Found, memo};
use crate::base::verify::checksum_files::{Expected, Verifier};
use crate::base::{Base, Digest, Error, Result, Trust};
use crate::catalog::{Release, Series, shown};
use crate::http::{self, Agent, space};

/// Where an image is, and what it must be.
pub(crate) struct Place {
    pub(crate) url: Url,
    /// The release of Ubuntu that it is of, where it was asked for as one.
    pub(crate) release: Option<Release>,
    pub(crate) expected: Expected,
    /// What was seen of it there in this run.
    pub(crate) seen: Seen,
}

/// What was seen of an image at its place in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody was asked: it is where its name, or a user, says.
    No,
    /// The server has it, though no list beside it names it.
    Alone,
    /// The list beside it names it.
    Listed,
}

/// What is true of a download that was cancelled.
fn cancelled(place: &http::Place, url: &Url, expected: Option<Digest>) -> Error {
    match place.resumable(url, expected.is_some()) {
        0 => Error::Cancelled,
        kept => Error::CancelledDownload { kept },
    }
}

impl Task<'_, '_> {
    /// An address of the user's.
    pub(crate) fn address(&mut self, url: &Url) -> Result<Base> {
        let name = shown(url);
        let mut agent = None;
        let verifier = Verifier::new(url, false, self.options, self.progress)?;
        let expected = match self.expected_before(&verifier) {
            Some(expected) => expected,
            None if self.options.offline && !self.options.insecure => return Err(self.offline(&name)),
            None if self.options.offline => Expected::NOTHING,
            None => {
                let agent = agent.insert(self.agent()?);
                let files = verifier.fetch(agent)?;
                let expected = verifier.verify(&files)?;
                verifier.keep(&self.cache.evidence(), &files)?;
                expected
            }
        };
        self.image(Place { url: url.clone(), release: None, expected, seen: Seen::No }, name, agent)
    }

    /// The image at a place that is known, called `name`: from the cache, or from there.
    pub(crate) fn image(&mut self, place: Place, name: String, agent: Option<Agent<'_>>) -> Result<Base> {
        let Place { mut url, release, expected, mut seen } = place;
        tracing::info!(name, trust = %expected.trust, digest = expected.digest.map(|d| d.to_string()), "expected");
        let key = expected.digest.map_or_else(|| memo::url_key(&url), |d| d.to_string());
        let _lock = self.lock(&key, &name)?;
        let found = match expected.digest {
            Some(digest) => self.find(&digest)?,
            None => self.unverified_again(&url, agent.as_ref())?,
        };
        if let Some(found) = found {
            return Ok(Base { url: Some(shown(&url)), ..named(found, name, release, expected.trust) });
        }
        if self.options.offline {
            return Err(self.offline(&name));
        }
        let agent = match agent {
            Some(agent) => agent,
            None => self.agent()?,
        };
        if let Some(release) = release.filter(|_| seen == Seen::No) {
            // it was found by what is known of it, and is not here any more; meanwhile it may have moved
            Place { url, seen, .. } = self.point(release, &agent)?;
        }
        let hint = release.and_then(Series::hint);
        let len_hint = hint.and_then(|known| known.raw_len_hint);
        let mut work = Work { key, name: &name, len_hint, hint, packed_len: None, expected: expected.digest };
        let found = match self.download(&agent, &url, &mut work) {
            Err(Error::Cancelled) => {
                return Err(cancelled(&self.cache.place(&work.key), &url, work.expected));
            }
            Err(error) if missing::is_missing(&error) => {
                return Err(match release {
                    Some(release) if seen == Seen::Listed => {
                        missing::half_a_release(&agent, &url, release, self.options)
                    }
                    Some(release) => missing::no_such_release(&agent, &url, release, self.options, None),
                    None => error,
                });
            }
            downloaded => downloaded?,
        };
        Ok(Base { url: Some(shown(&url)), ..named(found, name, release, expected.trust) })
    }

    pub(crate) fn offline(&self, name: &str) -> Error {
        Error::Offline { name: name.to_owned(), dir: self.cache.dir().to_owned() }
    }

    /// What is known of an address without the network: by the user or, offline, by files that an earlier run
    /// kept.
    fn expected_before(&self, verifier: &Verifier<'_>) -> Option<Expected> {
        if let Some(digest) = self.options.sha256 {
            return Some(Expected { digest: Some(digest), trust: Trust::Given });
        }
        let kept = self.options.offline.then(|| verifier.kept(&self.cache.evidence()))??;
        verifier.verify(&kept).ok().filter(|expected| expected.digest.is_some())
    }

    /// The image that an address gave before, if it still gives the same.
    fn unverified_again(&self, url: &Url, agent: Option<&Agent<'_>>) -> Result<Option<Found>> {
        let Some(known) = self.cache.memos().fetched(url) else { return Ok(None) };
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
        self.find(&known.digest)
    }

    fn download(&mut self, agent: &Agent<'_>, url: &Url, work: &mut Work<'_>) -> Result<Found> {
        let place = self.cache.place(&work.key);
        let by_digest = work.expected.is_some();
        whole(agent, url, &place, by_digest, self.progress, |download| {
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
            let found = self.run(work, download)?;
            if work.expected.is_none() {
                self.cache.memos().remember_fetched(url, found.digest, download.validators());
            }
            Ok(found)
        })
    }
}
