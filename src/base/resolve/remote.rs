//! Images from the network.

use reqwest::{StatusCode, Url, header};

use super::task::{Task, Work, named};
use crate::base::cache::{self, Found, memo};
use crate::base::decode::pipeline::Stop;
use crate::base::fetch::http::Agent;
use crate::base::fetch::{Download, missing};
use crate::base::verify::evidence::{Expected, Verifier};
use crate::base::{Base, Digest, Error, Result, Trust, space};
use crate::catalog::{Release, Series, shown};

/// How often an image is begun again because the server's file changed or what was kept of an earlier
/// download was bad.
const MOST_RESTARTS: u32 = 3;

/// Where an image is, and what it must be.
pub(crate) struct Place {
    pub(crate) url: Url,
    /// The release of Ubuntu that it is of, where it was asked for as one.
    pub(crate) release: Option<Release>,
    pub(crate) expected: Expected,
}

/// What is true of a download that was cancelled.
fn cancelled(place: &cache::Place, url: &Url, expected: Option<Digest>) -> Error {
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
                let agent = agent.insert(Agent::new(self.options, self.progress)?);
                let evidence = verifier.fetch(agent)?;
                let expected = verifier.verify(&evidence)?;
                verifier.keep(&self.cache.evidence(), &evidence)?;
                expected
            }
        };
        self.image(Place { url: url.clone(), release: None, expected }, name, agent)
    }

    /// The image at a place that is known, called `name`: from the cache, or from there.
    pub(crate) fn image(&mut self, place: Place, name: String, agent: Option<Agent<'_>>) -> Result<Base> {
        let Place { url, release, expected } = place;
        tracing::info!(name, trust = %expected.trust, digest = expected.digest.map(|d| d.to_string()), "expected");
        let key = expected.digest.map_or_else(|| memo::url_key(&url), |d| d.to_string());
        let _lock = self.lock(&key, &name)?;
        let found = match expected.digest {
            Some(digest) => self.find(&digest)?,
            None => self.unverified_again(&url, agent.as_ref())?,
        };
        if let Some(found) = found {
            return Ok(named(found, name, release, expected.trust));
        }
        if self.options.offline {
            return Err(self.offline(&name));
        }
        let agent = match agent {
            Some(agent) => agent,
            None => Agent::new(self.options, self.progress)?,
        };
        let hint = release.and_then(Series::hint);
        let len_hint = hint.and_then(|known| known.raw_len_hint);
        let mut work = Work { key, name: &name, len_hint, hint, packed_len: None, expected: expected.digest };
        let found = match self.download(&agent, &url, &mut work) {
            Err(Error::Cancelled) => {
                return Err(cancelled(&self.cache.place(&work.key), &url, work.expected));
            }
            Err(error) if missing::is_missing(&error) => {
                return Err(match release {
                    Some(release) => missing::half_a_release(&agent, &url, release, self.options),
                    None => error,
                });
            }
            downloaded => downloaded?,
        };
        Ok(named(found, name, release, expected.trust))
    }

    pub(crate) fn offline(&self, name: &str) -> Error {
        Error::Offline { name: name.to_owned(), dir: self.cache.dir().to_owned() }
    }

    /// What is known of an address without the network: by the user or, offline, by evidence that an earlier run
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
                        self.cache.memos().remember_fetched(url, found.digest, validators);
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
}
