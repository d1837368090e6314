//! How a server answers the wish for a file, or for the rest of one, and what that says of the
//! bytes that are here already.

use std::io::{Chain, Cursor, Read};

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::agent::{Agent, io_chain};
use super::backoff::Backoff;
use super::error::{Error, Result};
use super::reply::Reply;
use super::web_page::is_web_page;
use crate::catalog::shown;

/// Which file it is that an address gives, as far as its server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) url: String,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// Size of the whole file in bytes.
    pub(crate) total: Option<u64>,
}

impl Version {
    /// Of an address that was not asked yet.
    pub(crate) fn unknown(url: &Url) -> Self {
        Self { url: shown(url), etag: None, last_modified: None, total: None }
    }

    fn of(url: &Url, headers: &HeaderMap, total: Option<u64>) -> Self {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self { url: shown(url), etag: text(ETAG), last_modified: text(LAST_MODIFIED), total }
    }

    /// What `If-Range` may carry: a strong entity tag, or else a date (RFC 9110, 13.1.5).
    pub(crate) fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }

    /// Whether both are certainly the same bytes.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.validator().is_some() && self.validator() == other.validator() && self.agrees_with(other)
    }

    /// Whether nothing that both say differs. A part that is sent because `If-Range` held need not
    /// repeat what names the version (RFC 9110, 15.3.7).
    fn agrees_with(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.zip(b).is_none_or(|(a, b)| a == b)
        }
        agree(self.etag.as_ref(), other.etag.as_ref())
            && agree(self.last_modified.as_ref(), other.last_modified.as_ref())
            && agree(self.total.as_ref(), other.total.as_ref())
    }
}

/// The bytes of an answer; its first ones were looked at already.
pub(crate) type Body = Chain<Cursor<Vec<u8>>, Reply>;

/// How a server answered the wish for the bytes from some point on.
pub(crate) enum Answer {
    /// They follow.
    Rest(Box<Body>, Version),
    /// The file follows from its beginning.
    Whole(Box<Body>, Version),
    /// There are no more.
    Nothing,
    /// The file is another one now, or may be.
    Different,
}

/// Enough to know a web page by its beginning, and less than any image has.
const HEAD: u64 = 256;

/// Asks for the bytes from `from` on, of the version `known`. `resumable` says whether a digest
/// decides at the end, so that bytes may be put together even where the server names no version.
///
/// From 0 on there is no answer but [`Answer::Whole`].
pub(crate) fn ask(
    agent: &Agent<'_>,
    url: &Url,
    from: u64,
    known: &Version,
    resumable: bool,
    backoff: &mut Backoff,
) -> Result<Answer> {
    let unsatisfiable = StatusCode::RANGE_NOT_SATISFIABLE;
    let accept: &[StatusCode] = if from > 0 { &[unsatisfiable] } else { &[] };
    loop {
        let reply = agent.get(url, accept, backoff, |request| {
            let request = if from == 0 { request } else { request.header(RANGE, format!("bytes={from}-")) };
            match known.validator() {
                Some(validator) if from > 0 => request.header(IF_RANGE, validator),
                _ => request,
            }
        })?;
        return match reply.status {
            status if status == unsatisfiable && from > 0 => {
                // beyond the end: that is well if the end is here
                let total = content_range(&reply.headers).and_then(|(_, total)| total);
                let same = total == Some(from) && (resumable || known.validator().is_some());
                let whole = same && known.total.is_none_or(|t| t == from);
                Ok(if whole { Answer::Nothing } else { Answer::Different })
            }
            StatusCode::PARTIAL_CONTENT if from > 0 => Ok(rest(url, from, known, resumable, reply)),
            StatusCode::PARTIAL_CONTENT => {
                let reason = "it sends a part of the file, which was not asked for".to_owned();
                Err(agent.network(url, reason, 1))
            }
            status if status.is_success() => match whole(url, reply, agent.purpose().what) {
                Ok(answer) => answer,
                Err(cut_off) => {
                    agent.wait_after(backoff, url, &io_chain(&cut_off))?;
                    continue;
                }
            },
            status => Err(Error::Status { url: shown(url), status, purpose: agent.purpose() }),
        };
    }
}

fn rest(url: &Url, from: u64, known: &Version, resumable: bool, reply: Reply) -> Answer {
    let Some((start, total)) = content_range(&reply.headers) else { return Answer::Different };
    let part = Version::of(url, &reply.headers, total);
    let named = known.validator().is_some();
    let nameless = resumable && !named && part.validator().is_none();
    if start != from || !known.agrees_with(&part) || !(named || nameless) {
        return Answer::Different;
    }
    let version = Version { total: known.total.or(total), ..known.clone() };
    Answer::Rest(Box::new(Cursor::<Vec<u8>>::default().chain(reply)), version)
}

/// `Err` where the connection broke at once. A web page is refused before what is kept of an
/// earlier download gives way to it.
fn whole(url: &Url, mut reply: Reply, expected: &'static str) -> std::io::Result<Result<Answer>> {
    let version = Version::of(url, &reply.headers, reply.len);
    let mut head = Vec::new();
    Read::by_ref(&mut reply).take(HEAD).read_to_end(&mut head)?;
    if is_web_page(&head) {
        return Ok(Err(Error::WebPage { url: shown(url), expected }));
    }
    Ok(Ok(Answer::Whole(Box::new(Cursor::new(head).chain(reply)), version)))
}

/// `Content-Range: bytes 5-9/10` or `bytes */10`: where it starts and how long the whole is.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    parse_content_range(headers.get(CONTENT_RANGE)?.to_str().ok()?)
}

fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = match range.split_once('-') {
        Some((start, _)) => start.parse().ok()?,
        None if range == "*" => 0,
        None => return None,
    };
    match total {
        "*" => Some((start, None)),
        digits => Some((start, Some(digits.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(parse_content_range("bytes */10"), Some((0, Some(10))));
        for bad in ["", "bytes", "bytes 5/10", "bytes x-9/10", "items 5-9/10", "bytes 5-9/x"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_is_certainly_the_same_is_put_together() {
        let version = |etag: Option<&str>, date: Option<&str>, total| Version {
            url: String::new(),
            etag: etag.map(str::to_owned),
            last_modified: date.map(str::to_owned),
            total,
        };
        let a = version(Some("\"a\""), Some("Mon"), Some(5));
        assert!(a.is_same_as(&a));
        assert!(!a.is_same_as(&version(Some("\"b\""), Some("Mon"), Some(5))));
        assert!(!a.is_same_as(&version(Some("\"a\""), Some("Mon"), Some(6))));
        assert!(!version(None, None, Some(5)).is_same_as(&version(None, None, Some(5))));
        // a weak tag says that it looks alike, not that the bytes are the same
        assert_eq!(version(Some("W/\"a\""), Some("Mon"), None).validator(), Some("Mon"));
        // a part may leave out what names its version, but must not name another one
        assert!(a.agrees_with(&version(None, None, Some(5))));
        assert!(!a.agrees_with(&version(None, Some("Tue"), None)));
        assert!(!a.agrees_with(&version(None, None, Some(6))));
    }
}
