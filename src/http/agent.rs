//! HTTP as patient as a bad network needs it.

use std::borrow::Cow;
use std::error::Error as _;
use std::io::{self, Read};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use percent_encoding::percent_decode_str;
use reqwest::blocking::{Client, ClientBuilder, RequestBuilder};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RANGE, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use rustls::{AlertDescription, InvalidMessage};

use super::advice::{PROXY_WANTS_LOGIN, Purpose};
use super::backoff::Backoff;
use super::error::{Error, Result};
use super::login::{Access, Answer};
use super::patience::Patience;
use super::reply::Reply;
use super::web_page::is_web_page;
use crate::catalog::shown;
use crate::error::one_line;
use crate::io::CancelToken;
use crate::progress::Progress;

/// More redirects than this are a circle.
const MOST_REDIRECTS: usize = 10;
/// How often in a row one request is sent again with another login. One is its own; the others are of those who work at
/// the same repository, and may end before they are used, or be for less than this request is.
const MOST_ANSWERS: u32 = 4;
/// What a server says that has no such file.
const MISSING: [StatusCode; 2] = [StatusCode::NOT_FOUND, StatusCode::GONE];

/// A client with the patience that was asked for.
pub(crate) struct Agent<'a> {
    client: Client,
    /// How many times in a row a request may fail.
    attempts: u32,
    cancel: &'a CancelToken,
    progress: &'a dyn Progress,
    access: Access<'a>,
}

impl<'a> Agent<'a> {
    pub(crate) fn new(
        patience: Patience,
        cancel: &'a CancelToken,
        progress: &'a dyn Progress,
        access: Access<'a>,
    ) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // an error means that somebody else has installed one, which serves as well
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = ClientBuilder::new()
            .user_agent(concat!("pibake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.stall)
            // in the blocking client this is the limit of each read, not of the whole transfer
            .timeout(patience.stall)
            .redirect(reqwest::redirect::Policy::custom(follow))
            .build()
            .map_err(|e| Error::Network {
                url: "over HTTPS".to_owned(),
                reason: format!("{}; is the package ca-certificates installed?", chain(&e)),
                attempts: 1,
                purpose: access.purpose,
            })?;
        Ok(Self { client, attempts: patience.attempts, cancel, progress, access })
    }

    /// What it fetches.
    pub(crate) fn purpose(&self) -> &'static Purpose {
        self.access.purpose
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.attempts)
    }

    /// Asks for `url`, as [`Self::send`] does.
    pub(crate) fn get(
        &self,
        url: &Url,
        accept: &[StatusCode],
        backoff: &mut Backoff,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply> {
        self.send(&Method::GET, url, accept, backoff, prepare)
    }

    /// Sends a request until an answer comes that is not the server's passing weakness. Every status
    /// but those below 400 and the ones in `accept` is an error. What is sent may be sent several times.
    pub(crate) fn send(
        &self,
        method: &Method,
        url: &Url,
        accept: &[StatusCode],
        backoff: &mut Backoff,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply> {
        let (mut answers, mut had_fresh) = (0, false);
        loop {
            let login = self.access.login.and_then(|login| login.header(url));
            // the digest is of the file as it lies on the server
            let request = self.client.request(method.clone(), url.clone());
            let request = prepare(request.header(ACCEPT_ENCODING, "identity"));
            let request = match self.access.accept {
                Some(kinds) => request.header(ACCEPT, kinds),
                None => request,
            };
            let request = match &login {
                Some(login) => request.header(AUTHORIZATION, login),
                None => request,
            };
            let answer = Reply::to(request, self.cancel)?;
            match &answer {
                Ok(r) => {
                    tracing::debug!(
                        url = shown(url),
                        status = r.status.as_u16(),
                        from = shown(&r.url),
                        "answered"
                    );
                    tracing::trace!(headers = ?r.headers);
                }
                Err(e) => tracing::debug!(url = shown(url), error = chain(e), "not answered"),
            }
            let answer = match answer {
                Err(e) => self.unread(method, url, login.as_ref(), &e)?.ok_or(e),
                answered => answered,
            };
            match answer {
                Ok(r) if accept.contains(&r.status) || r.status.as_u16() < 400 => return Ok(r),
                Ok(reply) => {
                    let status = reply.status;
                    // what another server asks that this one redirects to is not for this one's login
                    if let Some(asked) = self.access.login.filter(|_| reply.url.origin() == url.origin())
                        && status == StatusCode::UNAUTHORIZED
                        && answers < MOST_ANSWERS
                    {
                        answers += 1;
                        match asked.answer(url, &reply.headers, login.as_ref(), had_fresh)? {
                            Answer::Nothing => {}
                            answer => {
                                had_fresh |= answer == Answer::Fresh;
                                continue;
                            }
                        }
                    }
                    let fault = Error::Status { url: shown(url), status, purpose: self.access.purpose };
                    let passing = status.is_server_error()
                        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
                    if !passing {
                        return Err(fault);
                    }
                    self.wait(backoff, retry_after(&reply.headers), &status.to_string(), fault)?;
                }
                Err(e) if is_permanent(&e) => {
                    let attempts = backoff.tries();
                    return Err(self.network(url, chain(&e), attempts));
                }
                Err(e) => self.wait_after(backoff, url, &chain(&e))?,
            }
            // by then what was fresh may have run out
            (answers, had_fresh) = (0, false);
        }
    }

    /// The reply that a request did not hear to its end: a server that does not let somebody in says so and hangs up,
    /// while what it does not want is still sent, and of that nothing is seen but the end of the connection. So the
    /// same is asked without content.
    fn unread(
        &self,
        method: &Method,
        url: &Url,
        login: Option<&HeaderValue>,
        fault: &reqwest::Error,
    ) -> Result<Option<Reply>> {
        let Some(login) = login.filter(|_| !method.is_safe() && !fault.is_connect() && !fault.is_timeout())
        else {
            return Ok(None);
        };
        let request = self.client.head(url.clone()).header(AUTHORIZATION, login);
        let reply = Reply::to(request, self.cancel)?.ok();
        let reply = reply.filter(|reply| reply.status == StatusCode::UNAUTHORIZED);
        tracing::debug!(url = shown(url), refused = reply.is_some(), "asked without content");
        Ok(reply)
    }

    /// Waits after a failure of the network, or gives up.
    pub(crate) fn wait_after(&self, backoff: &mut Backoff, url: &Url, reason: &str) -> Result<()> {
        let attempts = backoff.tries();
        let fault = self.network(url, reason.to_owned(), attempts);
        self.wait(backoff, None, reason, fault)
    }

    /// The failure to get anything from `url`.
    pub(crate) fn network(&self, url: &Url, reason: String, attempts: u32) -> Error {
        Error::Network { url: shown(url), reason, attempts, purpose: self.access.purpose }
    }

    /// Waits before the next try, and says so; gives `fault` back when there is to be none.
    fn wait(
        &self,
        backoff: &mut Backoff,
        server_asks: Option<Duration>,
        reason: &str,
        fault: Error,
    ) -> Result<()> {
        // what fails because it is not wanted any more is no failure of the network
        self.cancel.check()?;
        let Some(delay) = backoff.next(server_asks) else { return Err(fault) };
        self.progress.note(&format!("{reason}; trying again in {:.1} s", delay.as_secs_f64()));
        Ok(self.cancel.sleep(delay)?)
    }

    /// Whether the server has this file. It has not where it says so, and not where it says something else or nothing.
    pub(crate) fn has(&self, url: &Url) -> Result<bool> {
        // Of servers that know no HEAD (RFC 9110, 9.1) the file's first byte is asked for; one of none has no such part.
        let unknown = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
        let empty = [StatusCode::RANGE_NOT_SATISFIABLE];
        let mut backoff = self.backoff();
        let accept = [&MISSING[..], &unknown[..]].concat();
        let mut reply = self.send(&Method::HEAD, url, &accept, &mut backoff, |request| request)?;
        if unknown.contains(&reply.status) {
            let accept = [&MISSING[..], &empty[..]].concat();
            reply = self.get(url, &accept, &mut backoff, |request| request.header(RANGE, "bytes=0-0"))?;
        }
        Ok(!MISSING.contains(&reply.status))
    }

    /// The content of a small file, asked for once: for what only explains a failure.
    pub(crate) fn once(&self, url: &Url, limit: u64) -> Option<Vec<u8>> {
        let reply = Reply::to(self.client.get(url.clone()), self.cancel).ok()?.ok()?;
        let mut bytes = Vec::new();
        if !reply.status.is_success() || reply.take(limit).read_to_end(&mut bytes).is_err() {
            return None;
        }
        Some(bytes)
    }

    /// The content of a small file; `None` where the server has no such file.
    pub(crate) fn small(&self, url: &Url, limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.small_with(url, limit, |request| request)?.map(|(_, bytes)| bytes))
    }

    /// As [`Self::small`], of what is not a web page.
    pub(crate) fn document(&self, url: &Url, limit: u64, expected: &'static str) -> Result<Option<Vec<u8>>> {
        match self.small(url, limit)? {
            Some(bytes) if is_web_page(&bytes) => Err(Error::WebPage { url: shown(url), expected }),
            other => Ok(other),
        }
    }

    /// As [`Self::small`] by a request of another form, with the headers of the reply.
    pub(crate) fn small_with(
        &self,
        url: &Url,
        limit: u64,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Option<(HeaderMap, Vec<u8>)>> {
        let mut backoff = self.backoff();
        loop {
            let mut reply = self.get(url, &MISSING, &mut backoff, &prepare)?;
            if MISSING.contains(&reply.status) {
                return Ok(None);
            }
            let headers = std::mem::take(&mut reply.headers);
            let mut bytes = Vec::new();
            match reply.take(limit + 1).read_to_end(&mut bytes) {
                Ok(_) if bytes.len() as u64 > limit => {
                    return Err(Error::TooLarge { url: shown(url), limit });
                }
                Ok(_) => return Ok(Some((headers, bytes))),
                Err(e) => self.wait_after(&mut backoff, url, &io_chain(&e))?,
            }
        }
    }
}

/// Follows redirects, but never from https to http: what came over https is believed to come
/// from the server that was named.
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let from_https = attempt.previous().last().is_some_and(|u| u.scheme() == "https");
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("too many redirects")
    } else if from_https && attempt.url().scheme() != "https" {
        let fault = format!("it redirects from https to {}, which nothing protects", shown(attempt.url()));
        attempt.error(fault)
    } else {
        attempt.follow()
    }
}

/// The last part of an address's path.
pub(crate) fn file_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
    percent_decode_str(last).decode_utf8().map_or_else(|_| last.to_owned(), Cow::into_owned)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // the other form is a date: RFC 9110, 10.2.3
    httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()
}

/// Whether trying again is pointless.
fn is_permanent(error: &reqwest::Error) -> bool {
    if error.is_builder() || error.is_redirect() {
        return true;
    }
    let mut cause = error.source();
    while let Some(e) = cause {
        // hyper's type for it is not public
        if is_no_sound_tls(e) || e.to_string().contains(PROXY_WANTS_LOGIN) {
            return true;
        }
        cause = e.source();
    }
    false
}

/// Whether the other end has a bad certificate, or speaks no TLS, or none that is spoken here.
///
/// An I/O error counts what it carries as itself, not as its source, so that is looked for within.
fn is_no_sound_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return io.get_ref().is_some_and(|inner| is_no_sound_tls(inner));
    }
    match error.downcast_ref() {
        Some(
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
            | rustls::Error::PeerIncompatible(_),
        ) => true,
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity
                | AlertDescription::ProtocolVersion
        ),
        _ => false,
    }
}

/// An error with its causes, without the address, which is told elsewhere.
fn chain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    error.source().map_or_else(|| error.to_string(), one_line)
}

/// The same for an error while a body is read.
pub(crate) fn io_chain(error: &io::Error) -> String {
    match error.get_ref().and_then(|e| e.downcast_ref::<reqwest::Error>()) {
        Some(e) => chain(e),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses_are_decoded() {
        let name = |url: &str| file_name(&Url::parse(url).unwrap());
        assert_eq!(name("http://h/a/x%2Braspi%20.img.xz?y=z"), "x+raspi .img.xz");
        assert_eq!(name("http://h/100%.img"), "100%.img");
        assert_eq!(name("http://h"), "");
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = Url::parse("https://me:secret@h/x?y").unwrap();
        assert_eq!(shown(&url), "https://h/x?y");
    }
}
