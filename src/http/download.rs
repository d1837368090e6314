//! A download that takes up where an earlier one, of this run or another, was cut off.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use reqwest::Url;

use super::agent::{Agent, file_name, io_chain};
use super::answer::{Answer, Body, Version, ask};
use super::backoff::Backoff;
use super::error::{Error, Result};
use super::place::Place;
use super::space;
use crate::catalog::shown;
use crate::io::folder::{NO_LINKS, parent};
use crate::io::ownership::give_new;
use crate::io::{atomic, human_bytes, read_small};
use crate::progress::{Progress, Step};

/// Larger than any description of a version: an address, an entity tag, a date, a size.
const LARGEST_VERSION: u64 = 1 << 20;

/// Why a download gives no more bytes.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The file on the server is another one now: begin again from the beginning.
    Restart,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Place {
    /// How many bytes of `url` the next run will not have to download. `by_digest`: whether a digest
    /// decides at the end.
    pub(crate) fn resumable(&self, url: &Url, by_digest: bool) -> u64 {
        let len = std::fs::metadata(&self.part).map_or(0, |m| m.len());
        let version = self.load(url, len).filter(|v| by_digest || v.validator().is_some());
        version.map_or(0, |_| len)
    }

    /// Of which version of `url` the `len` bytes are that are here, if that is known.
    fn load(&self, url: &Url, len: u64) -> Option<Version> {
        let version: Version =
            serde_json::from_slice(&read_small(&self.version, LARGEST_VERSION).ok()?).ok()?;
        let fits = version.url == shown(url) && version.total.is_none_or(|t| len <= t);
        (len > 0 && fits).then_some(version)
    }
}

/// A file on its way from the network. Read from its beginning: what came earlier is read from the
/// disk, the rest from the network, and kept on the disk as it comes.
pub(crate) struct Download<'a> {
    agent: &'a Agent<'a>,
    url: Url,
    place: &'a Place,
    part: File,
    version: Version,
    /// Whether a digest decides at the end, so that bytes that were got at different times may be
    /// put together even where the server names no version.
    resumable: bool,
    /// Whether that was done.
    joined: bool,
    /// How many bytes were there at first and how far they have been read.
    kept: u64,
    position: u64,
    body: Option<Box<Body>>,
    /// How much is to come that is here already: the server sends files from their beginning only.
    skip: u64,
    /// Nothing more is to come.
    complete: bool,
    backoff: Backoff,
    progress: &'a dyn Progress,
    step: Box<dyn Step>,
}

impl<'a> Download<'a> {
    /// Begins or resumes. `resumable` says whether a digest decides at the end.
    pub(crate) fn open(
        agent: &'a Agent<'a>,
        url: &Url,
        place: &'a Place,
        resumable: bool,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let there = std::fs::metadata(&place.part).map_or(0, |m| m.len());
        let mut backoff = agent.backoff();
        let mut ask = |from, known: &Version| ask(agent, url, from, known, resumable, &mut backoff);
        let fresh = Version::unknown(url);
        let old = place.load(url, there).filter(|v| resumable || v.validator().is_some());
        let (kept, known, answer) = match old {
            Some(old) if resumable && old.total == Some(there) => (there, old, Answer::Nothing),
            Some(old) => match ask(there, &old)? {
                Answer::Different => {
                    let answer = ask(0, &fresh)?;
                    (0, fresh, answer)
                }
                answer @ Answer::Whole(..) => (0, fresh, answer),
                answer => (there, old, answer),
            },
            None => {
                let answer = ask(0, &fresh)?;
                (0, fresh, answer)
            }
        };
        let part = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(kept == 0)
            .custom_flags(NO_LINKS)
            .open(&place.part)
            .and_then(|file| give_new(&file, parent(&place.part)).map(|()| file))
            .map_err(|e| space::explain(e, "opening the download", &place.part))?;
        let what = format!("downloading {}", file_name(url));
        let step = progress.begin(&what, known.total);
        let mut download = Self {
            agent,
            url: url.clone(),
            place,
            part,
            version: known,
            resumable,
            joined: kept > 0,
            kept,
            position: 0,
            body: None,
            skip: 0,
            complete: false,
            backoff,
            progress,
            step,
        };
        match answer {
            Answer::Rest(body, version) | Answer::Whole(body, version) => download.take_up(body, version)?,
            Answer::Nothing | Answer::Different => download.complete = true,
        }
        if kept > 0 {
            let of = download.version.total.map(|t| format!(" of {}", human_bytes(t)));
            let here = human_bytes(kept);
            progress
                .note(&format!("resuming an earlier download: {here}{} are here", of.unwrap_or_default()));
            download.step.set_position(kept);
        }
        Ok(download)
    }

    /// Size of the whole file, where the server said it.
    pub(crate) fn total(&self) -> Option<u64> {
        self.version.total
    }

    /// What the server calls this version, to ask later whether it is still the same.
    pub(crate) fn validators(&self) -> (Option<String>, Option<String>) {
        (self.version.etag.clone(), self.version.last_modified.clone())
    }

    /// How much of it was on the disk already.
    pub(crate) fn kept(&self) -> u64 {
        self.kept
    }

    /// Whether its bytes were got at different times.
    pub(crate) fn is_joined(&self) -> bool {
        self.joined
    }

    fn take_up(&mut self, body: Box<Body>, version: Version) -> Result<()> {
        if version != self.version {
            let json = serde_json::to_vec(&version).unwrap_or_default();
            let path = &self.place.version;
            // without it the next run begins anew, and a digest or the server's own word decides whether it fits
            atomic::write_note(path, &json).map_err(|e| space::explain(e, "writing", path))?;
            self.version = version;
            if let Some(total) = self.version.total {
                self.step.set_total(total);
            }
        }
        self.body = Some(body);
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
            let most = match self.skip {
                0 => buf.len(),
                skip => buf.len().min(usize::try_from(skip).unwrap_or(usize::MAX)),
            };
            let wanted = buf.get_mut(..most).unwrap_or_default();
            let reason = match self.body.as_mut().map(|body| body.read(wanted)) {
                Some(Ok(n)) if n > 0 && self.skip > 0 => {
                    self.skip -= n as u64;
                    continue;
                }
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
                Some(Ok(_)) if self.skip == 0 && self.version.total.is_none_or(|t| t == self.position) => {
                    self.complete = true;
                    break;
                }
                Some(Err(e)) => io_chain(&e),
                Some(Ok(_)) | None => "the connection was closed".to_owned(),
            };
            self.reconnect(&reason)?;
        }
        Ok(0)
    }

    fn reconnect(&mut self, reason: &str) -> Result<(), Stop> {
        self.body = None;
        self.skip = 0;
        let reason = format!("the download was cut off: {reason}");
        self.agent.wait_after(&mut self.backoff, &self.url, &reason)?;
        let from = self.position;
        let answer = ask(self.agent, &self.url, from, &self.version, self.resumable, &mut self.backoff)?;
        match answer {
            Answer::Nothing => self.complete = true,
            Answer::Rest(body, version) => {
                self.joined = true;
                self.take_up(body, version)?;
            }
            Answer::Whole(body, version) if from == 0 => self.take_up(body, version)?,
            Answer::Whole(body, version) if self.version.is_same_as(&version) => {
                self.progress.note("the server cannot send the rest alone: it sends all of it again");
                self.joined = true;
                self.skip = from;
                self.take_up(body, version)?;
            }
            Answer::Whole(..) | Answer::Different => return Err(Stop::Restart),
        }
        Ok(())
    }

    /// Fills some of `buf`; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, Stop> {
        // what is read from the disk was counted when it was found there
        let n = if self.position < self.kept {
            self.read_kept(buf)?
        } else {
            let n = self.read_network(buf)?;
            self.step.advance(n as u64);
            n
        };
        self.position += n as u64;
        if n == 0 {
            self.step.finish();
        }
        Ok(n)
    }

    /// Whether the rest is on the disk already.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }
}
