//! A download that takes up where an earlier one, of this run or another, was cut off.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::http::{self, Agent, Backoff};
use super::pipeline::{Source, Stop};
use super::{Error, Result, entry, space};
use crate::progress::{Progress, Step, Unit};

/// What is known of a download that is under way; lies beside what came so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    total: Option<u64>,
}

impl Version {
    fn of(url: &Url, headers: &HeaderMap, total: Option<u64>) -> Self {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self { url: http::shown(url), etag: text(ETAG), last_modified: text(LAST_MODIFIED), total }
    }

    /// What `If-Range` may carry: a strong entity tag, or else a date (RFC 9110, 13.1.5).
    fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }

    /// Whether both are certainly the same bytes.
    fn is_same_as(&self, other: &Self) -> bool {
        self.validator().is_some()
            && self.validator() == other.validator()
            && (self.total == other.total || self.total.is_none() || other.total.is_none())
    }
}

/// Where a download is kept until it is whole.
pub(super) struct Place {
    part: PathBuf,
    version: PathBuf,
}

impl Place {
    pub(super) fn new(dir: &Path, key: &str) -> Self {
        Self { part: dir.join(format!("{key}.part")), version: dir.join(format!("{key}.part.json")) }
    }

    /// Removes all there is.
    pub(super) fn clear(&self) {
        // what is not there need not be removed, and what cannot be is overwritten the next time
        let _ = std::fs::remove_file(&self.version);
        let _ = std::fs::remove_file(&self.part);
    }
}

/// A file on its way from the network. Read from its beginning: what came earlier is read from the
/// disk, the rest from the network, and kept on the disk as it comes.
pub(super) struct Download<'a> {
    agent: &'a Agent<'a>,
    url: Url,
    place: &'a Place,
    part: File,
    version: Version,
    /// How many bytes were there at first and how far they have been read.
    kept: u64,
    position: u64,
    response: Option<Box<Response>>,
    /// Nothing more is to come.
    complete: bool,
    backoff: Backoff,
    step: Box<dyn Step>,
}

/// How a server answered the wish for the bytes from some point on.
enum Answer {
    /// They follow, after so many that are to be skipped.
    Body(Box<Response>, u64, Version),
    /// There are no more.
    Nothing,
    /// The file is another one now, or may be.
    Different,
}

impl<'a> Download<'a> {
    /// Begins or resumes. `resumable` says whether a digest decides at the end, so that bytes that
    /// were got at different times may be put together even where the server names no version.
    pub(super) fn open(
        agent: &'a Agent<'a>,
        url: &Url,
        place: &'a Place,
        resumable: bool,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let io = |doing: &str, e| Error::io(doing, &place.part, e);
        let mut part = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&place.part)
            .map_err(|e| io("opening the download", e))?;
        let there = part.metadata().map_err(|e| io("examining the download", e))?.len();
        let fresh = Version { url: http::shown(url), etag: None, last_modified: None, total: None };
        let old = std::fs::read(&place.version).ok().and_then(|b| serde_json::from_slice::<Version>(&b).ok());
        let old = old.filter(|v| v.url == fresh.url && v.total.is_none_or(|t| there <= t));
        let old = old.filter(|v| there > 0 && (resumable || v.validator().is_some()));
        let mut backoff = agent.backoff();
        let mut kept = 0;
        let mut version = fresh;
        let mut answer = Answer::Different;
        if let Some(old) = old {
            answer = if resumable && old.total == Some(there) {
                Answer::Nothing
            } else {
                ask(agent, url, there, &old, resumable, &mut backoff)?
            };
            if !matches!(answer, Answer::Different) {
                (kept, version) = (there, old);
            }
        }
        if matches!(answer, Answer::Different) {
            answer = ask(agent, url, 0, &version, resumable, &mut backoff)?;
            part.set_len(0).map_err(|e| io("emptying the download", e))?;
        }
        part.seek(SeekFrom::Start(0)).map_err(|e| io("reading the download", e))?;
        let what = format!("downloading {}", file_name(url));
        let step = progress.begin(&what, Unit::Bytes, version.total);
        let mut download = Self {
            agent,
            url: url.clone(),
            place,
            part,
            version,
            kept,
            position: 0,
            response: None,
            complete: false,
            backoff,
            step,
        };
        download.take_up(answer)?;
        if kept > 0 {
            let of = download.version.total.map(|t| format!(" of {}", super::error::size(t)));
            let size = super::error::size(kept);
            progress
                .note(&format!("taking up an earlier download: {size}{} are here", of.unwrap_or_default()));
        }
        Ok(download)
    }

    /// Size of the whole file, where the server said it.
    pub(super) fn total(&self) -> Option<u64> {
        self.version.total
    }

    /// What the server calls this version, to ask later whether it is still the same.
    pub(super) fn validators(&self) -> (Option<String>, Option<String>) {
        (self.version.etag.clone(), self.version.last_modified.clone())
    }

    /// How much of it is on the disk already.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    fn take_up(&mut self, answer: Answer) -> Result<()> {
        match answer {
            Answer::Body(mut response, skip, version) => {
                if version != self.version {
                    let json = serde_json::to_vec(&version).unwrap_or_default();
                    entry::write_whole(&self.place.version, &json)?;
                    self.version = version;
                    if let Some(total) = self.version.total {
                        self.step.set_total(total);
                    }
                }
                let skipped =
                    std::io::copy(&mut Read::by_ref(&mut response).take(skip), &mut std::io::sink());
                // cut off while skipping: the next read finds no connection and asks again
                self.response = skipped.is_ok_and(|n| n == skip).then_some(response);
            }
            Answer::Nothing | Answer::Different => self.complete = true,
        }
        Ok(())
    }

    /// The next bytes of what came earlier.
    fn read_kept(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        let left = usize::try_from(self.kept - self.position).unwrap_or(usize::MAX);
        let most = buf.len().min(left);
        let part = buf.get_mut(..most).unwrap_or_default();
        let n = self.part.read(part).map_err(|e| Error::io("reading the download", &self.place.part, e))?;
        // shorter than it was a moment ago: somebody else is at it, in spite of the lock
        if n == 0 { Err(Stop::Restart) } else { Ok(n) }
    }

    /// The next bytes from the network; 0 at the end of the file.
    fn read_network(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        while !self.complete {
            let reason = match self.response.as_mut().map(|r| r.read(buf)) {
                Some(Ok(n)) if n > 0 => {
                    if self.version.total.is_some_and(|t| self.position + n as u64 > t) {
                        return Err(Stop::Restart);
                    }
                    self.backoff.reset();
                    let new = buf.get(..n).unwrap_or_default();
                    self.part
                        .write_all(new)
                        .map_err(|e| space::explain(e, "writing the download", &self.place.part))?;
                    return Ok(n);
                }
                Some(Ok(_)) if self.version.total.is_none_or(|t| t == self.position) => {
                    self.complete = true;
                    break;
                }
                Some(Ok(_)) => "the connection was closed".to_owned(),
                Some(Err(e)) => http::io_chain(&e),
                None => "the connection was closed".to_owned(),
            };
            self.reconnect(&reason)?;
        }
        Ok(0)
    }

    fn reconnect(&mut self, reason: &str) -> Result<(), Stop> {
        self.response = None;
        let url = http::shown(&self.url);
        let attempts = self.backoff.attempts();
        let fault = Error::Network { url, reason: reason.to_owned(), attempts };
        self.agent.wait(&mut self.backoff, None, &format!("the download was cut off: {reason}"), fault)?;
        // the same run: bytes of one version may be put together where the server says that it is one
        match ask(self.agent, &self.url, self.position, &self.version, true, &mut self.backoff)? {
            Answer::Different => Err(Stop::Restart),
            answer => Ok(self.take_up(answer)?),
        }
    }
}

impl Source for Download<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        let n = if self.position < self.kept { self.read_kept(buf)? } else { self.read_network(buf)? };
        self.position += n as u64;
        self.step.set_position(self.position);
        if n == 0 {
            self.step.finish();
        }
        Ok(n)
    }

    fn is_cheap(&self) -> bool {
        self.complete
    }
}

/// Asks for the bytes from `from` on, of the version `known`.
fn ask(
    agent: &Agent<'_>,
    url: &Url,
    from: u64,
    known: &Version,
    resumable: bool,
    backoff: &mut Backoff,
) -> Result<Answer> {
    let unsatisfiable = StatusCode::RANGE_NOT_SATISFIABLE;
    let response = agent.get(url, &[unsatisfiable], backoff, |request| {
        let request = if from == 0 { request } else { request.header(RANGE, format!("bytes={from}-")) };
        match known.validator() {
            Some(validator) if from > 0 => request.header(IF_RANGE, validator),
            _ => request,
        }
    })?;
    if response.status() == unsatisfiable {
        // beyond the end: that is well if the end is here
        let total = content_range(&response).and_then(|(_, total)| total);
        let same = from > 0 && total == Some(from) && (resumable || known.validator().is_some());
        return Ok(if same && known.total.is_none_or(|t| t == from) {
            Answer::Nothing
        } else {
            Answer::Different
        });
    }
    if response.status() == StatusCode::PARTIAL_CONTENT {
        let Some((start, total)) = content_range(&response) else { return Ok(Answer::Different) };
        let version = Version::of(url, response.headers(), total.or(known.total));
        let nameless = known.validator().is_none() && version.validator().is_none() && resumable;
        let same = (nameless && (known.total.is_none() || known.total == version.total))
            || known.is_same_as(&version);
        return Ok(if start == from && same {
            Answer::Body(Box::new(response), 0, version)
        } else {
            Answer::Different
        });
    }
    let version = Version::of(url, response.headers(), response.content_length());
    if from == 0 || known.is_same_as(&version) {
        // it has no ranges, but it is the same file
        return Ok(Answer::Body(Box::new(response), from, version));
    }
    Ok(Answer::Different)
}

/// `Content-Range: bytes 5-9/10` or `bytes */10`: where it starts and how long the whole is.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    parse_content_range(response.headers().get(CONTENT_RANGE)?.to_str().ok()?)
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

/// The last part of an address's path.
pub(super) fn file_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
    percent_decoded(last)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|h| hex::decode(h).ok());
        match escaped {
            Some(byte) => {
                bytes.extend(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
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
    fn names_in_addresses_are_decoded() {
        let name = |url: &str| file_name(&Url::parse(url).unwrap());
        assert_eq!(name("http://h/a/x%2Braspi%20.img.xz?y=z"), "x+raspi .img.xz");
        assert_eq!(name("http://h/100%.img"), "100%.img");
        assert_eq!(name("http://h"), "");
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
    }
}
