//! One repository of a registry: blobs and manifests of any kind, put there and got from there.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::credentials::Credentials;
use super::error::{Error, Result};
use super::login::Logins;
use super::manifest::{ACCEPTED, Blob, LARGEST};
use crate::base::{self, Fetcher, Pieces, Wanted};
use crate::catalog::{Digest, shown};
use crate::error::ErrorClass;
use crate::http::{self, Access, Agent, Purpose, is_web_page};
use crate::registry::{Endpoint, Reference, registry_address};

/// What to say where something cannot be got from a repository, or put there.
static PURPOSE: Purpose = Purpose {
    what: "an artifact",
    check: "its name and tag",
    mirror: "the name of another registry",
    by_hand: None,
};

/// A line so slow that nothing larger than a text can be put anywhere by it, in bytes a second.
const SLOWEST: u64 = 16 << 10;

/// How often an upload is begun again that the registry has forgotten.
const MOST_RESTARTS: u32 = 3;

/// A repository, for as long as it is worked with.
pub struct Repository<'a> {
    fetcher: &'a Fetcher<'a>,
    access: Access<'a>,
    /// None where the network may not be used.
    agent: Option<&'a Agent<'a>>,
    /// The address of its registry: `https://host/v2`.
    root: String,
    host: String,
    path: String,
}

/// Has `work` do something with the repository of `name`, whatever its tag. `endpoints` say where its registry speaks
/// otherwise than is usual.
///
/// # Errors
/// What `work` answers; [`Error`] where there can be no client.
pub(crate) fn visit<T, E: From<Error>>(
    fetcher: &Fetcher<'_>,
    name: &Reference,
    endpoints: &[Endpoint],
    credentials: &Credentials,
    work: impl FnOnce(&Repository<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let plain = fetcher.agent(Access::anonymous(&PURPOSE)).map_err(Error::from)?;
    let logins = plain.as_ref().map(|agent| Logins::new(agent, credentials));
    let login = logins.as_ref().map(|logins| logins as &dyn http::Login);
    let access = Access { purpose: &PURPOSE, accept: None, login };
    let agent = fetcher.agent(access).map_err(Error::from)?;
    let root = format!("{}/v2", registry_address(name.host(), endpoints));
    let (host, path) = (name.host().to_owned(), name.path().to_owned());
    work(&Repository { fetcher, access, agent: agent.as_ref(), root, host, path })
}

/// Reads blobs of a repository into memory, one by one.
pub(crate) struct Blobs<'a> {
    repository: &'a Repository<'a>,
    pieces: Pieces<'a>,
}

impl Blobs<'_> {
    /// A blob, whole and verified, from the cache or from the registry; it is in the cache then.
    ///
    /// # Errors
    /// [`Error::Base`]
    pub(crate) fn read(&self, blob: &Blob) -> Result<Vec<u8>> {
        let found = self.pieces.read(&self.repository.wanted(blob)?);
        found.map_err(|fault| self.repository.unfetched(fault))
    }
}

impl Repository<'_> {
    /// What it is called: `host/path`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Its path at its registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the network may be used.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.agent.is_some()
    }

    /// Another one of the same registry.
    pub(crate) fn beside(&self, path: &str) -> Repository<'_> {
        let Self { fetcher, access, agent, .. } = *self;
        let (root, host) = (self.root.clone(), self.host.clone());
        Repository { fetcher, access, agent, root, host, path: path.to_owned() }
    }

    pub(super) fn agent(&self) -> Result<&Agent<'_>> {
        let offline = || base::Error::Offline { name: self.name(), dir: self.fetcher.cache.dir().to_owned() };
        Ok(self.agent.ok_or_else(offline)?)
    }

    pub(super) fn url(&self, kind: &str, what: &str) -> Result<Url> {
        let text = format!("{}/{}/{kind}/{what}", self.root, self.path);
        Url::parse(&text).map_err(|e| {
            let reason = e.to_string();
            http::Error::Network { url: text, reason, attempts: 1, purpose: &PURPOSE }.into()
        })
    }

    /// Gets blobs into the cache, each whole and verified.
    ///
    /// # Errors
    /// [`Error::Base`]
    pub(crate) fn fetch<'b>(&self, what: &str, blobs: impl IntoIterator<Item = &'b Blob>) -> Result<()> {
        let wanted = blobs.into_iter().map(|blob| self.wanted(blob)).collect::<Result<Vec<_>>>()?;
        let got = self.fetcher.get(what, &wanted, self.access);
        got.map(drop).map_err(|fault| self.unfetched(fault))
    }

    /// What reads blobs into memory, by another fetcher, which can be cancelled and tells its progress for itself.
    ///
    /// # Errors
    /// [`Error::Base`]
    pub(crate) fn pieces<'b>(&'b self, fetcher: &'b Fetcher<'b>) -> Result<Blobs<'b>> {
        Ok(Blobs { repository: self, pieces: Pieces::new(fetcher, self.access)? })
    }

    fn wanted(&self, blob: &Blob) -> Result<Wanted> {
        let urls = vec![self.url("blobs", &format!("sha256:{}", blob.digest))?];
        Ok(Wanted { urls, digest: blob.digest, len: blob.len })
    }

    fn unfetched(&self, fault: base::Error) -> Error {
        match fault {
            base::Error::Http(fault) => self.unread(fault),
            other => other.into(),
        }
    }

    /// What a tag or a digest (`sha256:…`) stands for; `None` where there is nothing. By a digest it is looked for in
    /// the cache first.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Inconsistent`] where it does not have the digest that was asked for.
    pub(crate) fn manifest(&self, object: &str) -> Result<Option<Vec<u8>>> {
        let expected: Option<Digest> = object.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
        if let Some(digest) = expected
            && let Some(bytes) = self.fetcher.cache.content(&digest, LARGEST)
        {
            return Ok(Some(bytes));
        }
        let url = self.url("manifests", object)?;
        let found = self.agent()?.small_with(&url, LARGEST, |request| request.header(ACCEPT, ACCEPTED));
        let Some((_, bytes)) = found.map_err(|fault| self.unread(fault))? else { return Ok(None) };
        if is_web_page(&bytes) {
            return Err(http::Error::WebPage { url: shown(&url), expected: "a manifest" }.into());
        }
        if let Some(promised) = expected {
            let actual = Digest::of(&bytes);
            if actual != promised {
                let fault =
                    format!("{} sends sha256:{actual} where sha256:{promised} is promised", shown(&url));
                return Err(Error::Inconsistent { image: self.name(), fault });
            }
            self.fetcher.put(&bytes)?;
        }
        Ok(Some(bytes))
    }

    /// Whether it has a blob.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Short`] where what it has under that digest is of another length, which no registry mends
    /// when it is sent again.
    pub(crate) fn has(&self, blob: &Blob) -> Result<bool> {
        let agent = self.agent()?;
        let digest = blob.digest;
        let url = self.url("blobs", &format!("sha256:{digest}"))?;
        let missing = [StatusCode::NOT_FOUND];
        let reply = agent.send(&Method::HEAD, &url, &missing, &mut agent.backoff(), |request| request);
        let reply = reply.map_err(|fault| self.unread(fault))?;
        if !reply.status.is_success() {
            return Ok(false);
        }
        let said = reply.headers.get(CONTENT_LENGTH).and_then(|said| said.to_str().ok()?.parse::<u64>().ok());
        match said.filter(|len| *len != blob.len) {
            Some(found) => Err(Error::Short { digest, repository: self.name(), found, len: blob.len }),
            None => Ok(true),
        }
    }

    /// Puts a blob there, unless it is there. Gives whether it was sent.
    ///
    /// # Errors
    /// [`Error`]
    pub(crate) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<bool> {
        let blob = Blob { media_type: String::new(), digest: *digest, len: bytes.len() as u64 };
        if self.has(&blob)? {
            return Ok(false);
        }
        self.upload(digest, bytes)?;
        Ok(true)
    }

    /// Has the registry take a blob from another of its repositories. Gives whether it is here then.
    ///
    /// # Errors
    /// [`Error`]
    pub(crate) fn mount(&self, blob: &Blob, from: &str) -> Result<bool> {
        Ok(self.has(blob)? || matches!(self.start(&blob.digest, Some(from))?, Started::Mounted))
    }

    fn upload(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let agent = self.agent()?;
        let patience = self.fetcher.patience.stall + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        // what a registry answers whose upload was cut off, and then asked for again
        let forgotten = [
            StatusCode::NOT_FOUND,
            StatusCode::RANGE_NOT_SATISFIABLE,
            StatusCode::CONFLICT,
            StatusCode::GONE,
        ];
        let mut restarts = 0;
        loop {
            let mut at = match self.start(digest, None)? {
                Started::Upload(at) => at,
                Started::Mounted => return Ok(()),
            };
            at.query_pairs_mut().append_pair("digest", &format!("sha256:{digest}"));
            let reply = agent.send(&Method::PUT, &at, &forgotten, &mut agent.backoff(), |request| {
                let request = request.header(CONTENT_TYPE, "application/octet-stream");
                request.timeout(patience).body(bytes.to_vec())
            });
            let reply = reply.map_err(|fault| self.refused(&format!("sha256:{digest}"), fault))?;
            if reply.status.is_success() {
                return Ok(());
            }
            restarts += 1;
            if restarts > MOST_RESTARTS {
                let reason = format!("the registry forgets the upload each time ({})", reply.status);
                return Err(self.fault(&format!("sha256:{digest}"), reason, ErrorClass::Network));
            }
        }
    }

    /// Begins an upload.
    fn start(&self, digest: &Digest, from: Option<&str>) -> Result<Started> {
        let agent = self.agent()?;
        let mut url = self.url("blobs", "uploads/")?;
        if let Some(from) = from {
            url.query_pairs_mut().append_pair("mount", &format!("sha256:{digest}")).append_pair("from", from);
        }
        let reply = agent.send(&Method::POST, &url, &[], &mut agent.backoff(), |request| {
            // some proxies want to be told that nothing follows
            request.header(CONTENT_LENGTH, 0)
        });
        let reply = reply.map_err(|fault| self.refused(&format!("sha256:{digest}"), fault))?;
        if reply.status == StatusCode::CREATED {
            return Ok(Started::Mounted);
        }
        let at = location(&url, &reply.headers);
        let at =
            at.map_err(|reason| self.fault(&format!("sha256:{digest}"), reason, ErrorClass::Configuration))?;
        Ok(Started::Upload(at))
    }

    /// Puts a manifest or an index there, under a tag or its digest.
    ///
    /// # Errors
    /// [`Error`]
    pub(crate) fn put_manifest(&self, object: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let agent = self.agent()?;
        let url = self.url("manifests", object)?;
        let reply = agent.send(&Method::PUT, &url, &[], &mut agent.backoff(), |request| {
            request.header(CONTENT_TYPE, media_type).body(bytes.to_vec())
        });
        reply.map(drop).map_err(|fault| self.refused(&format!("the manifest {object}"), fault))
    }

    fn fault(&self, what: &str, reason: String, class: ErrorClass) -> Error {
        Error::Refused { what: what.to_owned(), repository: self.name(), reason, class }
    }

    /// What a registry answers to whom it does not let read. Asking again changes nothing about that, whatever the line
    /// is like.
    pub(super) fn unread(&self, fault: http::Error) -> Error {
        let reason = match fault {
            http::Error::Status { url, status, .. } if [401, 403].contains(&status.as_u16()) => {
                let host = &self.host;
                format!(
                    "{url}: the registry says {status}; run docker login {host} as one who may read there"
                )
            }
            http::Error::Login { url, reason } => format!("{url}: {reason}"),
            other => return other.into(),
        };
        Error::Login { repository: self.name(), reason }
    }

    /// What a registry answers to whom it does not let write.
    fn refused(&self, what: &str, fault: http::Error) -> Error {
        let http::Error::Status { url, status, .. } = &fault else { return self.unread(fault) };
        let host = &self.host;
        let todo = match status.as_u16() {
            401 | 403 => format!("; run docker login {host} as one who may push there"),
            404 => "; check the name: the registry may want the repository to be made first".to_owned(),
            405 => "; the registry takes nothing: it may be read-only for now, or only a mirror".to_owned(),
            413 => "; a proxy before the registry takes no such large requests".to_owned(),
            _ => String::new(),
        };
        // asking again changes nothing about those
        let class = if todo.is_empty() { ErrorClass::Network } else { ErrorClass::Configuration };
        self.fault(what, format!("{url}: the registry says {status}{todo}"), class)
    }
}

/// What a registry does about an upload.
enum Started {
    /// It has the blob already.
    Mounted,
    /// It wants it there.
    Upload(Url),
}

/// Where the rest is to go, which may be said as a path alone. `Err` says why it cannot go there: what is sent there
/// has the login with it.
fn location(asked: &Url, headers: &HeaderMap) -> Result<Url, String> {
    let said = headers.get(LOCATION).and_then(|said| said.to_str().ok());
    let at = said.and_then(|said| asked.join(said).ok());
    let mut at = at.ok_or("the registry does not say where to send it")?;
    if at.scheme() != "https" && at.scheme() != asked.scheme() {
        // what follows is long, and the registry's own
        at.set_query(None);
        return Err(format!(
            "the registry wants it at {}, which nothing protects: a proxy before it has to tell it that it is asked by \
             HTTPS (X-Forwarded-Proto)",
            shown(&at)
        ));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_goes_on_where_the_registry_says() {
        let asked = Url::parse("https://h:5000/v2/a/b/blobs/uploads/?mount=x").unwrap();
        let at = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, text.parse().unwrap());
            location(&asked, &headers).map(String::from)
        };
        assert_eq!(at("/v2/a/b/blobs/uploads/1?s=2").unwrap(), "https://h:5000/v2/a/b/blobs/uploads/1?s=2");
        assert_eq!(at("https://other/x").unwrap(), "https://other/x");
        // with a password in the clear
        for bad in ["http://h:5000/v2/a/b/blobs/uploads/1", "file:///x", "ftp://h/x"] {
            assert!(at(bad).is_err(), "{bad}");
        }
        assert!(at("http://h/x?state=secret").unwrap_err().contains("at http://h/x, which nothing protects"));
        assert!(location(&asked, &HeaderMap::new()).unwrap_err().contains("does not say where"));
        let plain = Url::parse("http://127.0.0.1:5000/v2/a/blobs/uploads/").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, "http://127.0.0.1:5000/v2/a/blobs/uploads/1".parse().unwrap());
        assert!(location(&plain, &headers).is_ok());
    }
}
