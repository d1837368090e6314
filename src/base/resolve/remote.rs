//! Images from the network: releases that the catalog knows, and other addresses.

use reqwest::{StatusCode, Url, header};

use super::missing;
use super::task::{Task, Work, named};
use super::whole::whole;
use crate::base::cache::entry::Files;
use crate::base::cache::{Found, memo};
use crate::base::verify::evidence::{Expected, Verifier};
use crate::base::{Base, Digest, Error, Options, Result, Trust};
use crate::catalog::Image;
use crate::http::{Agent, Place, space};

fn catalog_url(image: &Image, options: &Options) -> Result<Url> {
    let mirror = options.mirror.as_deref();
    let fault = |reason: String| Error::Mirror { given: mirror.unwrap_or_default().to_owned(), reason };
    let url = Url::parse(&image.url(mirror)).map_err(|e| fault(e.to_string()))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        other => Err(fault(format!("{other} is neither https nor http"))),
    }
}

/// What is true of a download that was cancelled.
fn cancelled(place: &Place, url: &Url, expected: Option<Digest>) -> Error {
    match place.resumable(url, expected.is_some()) {
        0 => Error::Cancelled,
        kept => Error::CancelledDownload { kept },
    }
}

impl Task<'_, '_> {
    /// A release that the catalog knows, from Ubuntu's server or from a mirror.
    pub(crate) fn release(&mut self, image: &Image) -> Result<Base> {
        let url = catalog_url(image, self.options)?;
        self.remote(&url, image.release.to_owned(), Some(image))
    }

    /// An address, of which a release is called by its own name.
    pub(crate) fn remote(&mut self, url: &Url, name: String, image: Option<&Image>) -> Result<Base> {
        let release = image.map(|i| i.release);
        let offline = || Error::Offline { name: name.clone(), dir: self.cache.dir().to_owned() };
        let mut agent = None;
        let verifier = Verifier::new(url, image.is_some(), self.options, self.progress)?;
        let expected = match self.known_before(&verifier) {
            Some(expected) => expected,
            None if self.options.offline && !self.options.insecure => return Err(offline()),
            None if self.options.offline => Expected::NOTHING,
            None => {
                let agent = agent.insert(self.agent()?);
                let evidence = verifier.fetch(agent)?;
                if let Some(image) = image
                    && evidence.sums.is_none()
                    && !agent.has(url)
                {
                    return Err(missing::no_such_release(agent, url, image, self.options));
                }
                let expected = verifier.verify(&evidence)?;
                verifier.keep(&self.cache.evidence(), &evidence)?;
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
            Some(digest) => self.find(&digest)?,
            None => self.unverified_again(url, agent.as_ref())?,
        };
        if let Some(found) = found {
            return Ok(named(found, name, release, expected.trust));
        }
        if self.options.offline {
            return Err(offline());
        }
        let agent = match agent {
            Some(agent) => agent,
            None => self.agent()?,
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
        Ok(named(found, name, release, expected.trust))
    }

    /// What is known without the network: by the user, or by evidence that an earlier run kept. That
    /// is enough offline, and online for a release, which never changes, whose image is here.
    fn known_before(&self, verifier: &Verifier<'_>) -> Option<Expected> {
        if let Some(digest) = self.options.sha256 {
            return Some(Expected { digest: Some(digest), trust: Trust::Given });
        }
        if !self.options.offline && !verifier.known {
            return None;
        }
        // evidence that no longer convinces is fetched again
        let expected = verifier.verify(&verifier.kept(&self.cache.evidence())?).ok()?;
        let digest = expected.digest?;
        let here = Files::new(&self.cache.images(), &digest).load().is_some();
        (here || self.options.offline).then_some(expected)
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
