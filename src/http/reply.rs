//! A server's reply, sent for and read by a thread of its own, so that a silent server keeps nobody
//! waiting who does not want it any more.

use std::io::{self, Cursor, Read};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

use super::error::{Error, Result};
use crate::io::CancelToken;
use crate::io::cancel::POLL;

/// How much of a body is read at once, and how many such pieces may wait to be taken.
const PIECE: usize = 64 << 10;
const PIECES_WAITING: usize = 4;

/// A reply whose head has come. Its body is read from it.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Where it came from after all redirects.
    pub(crate) url: Url,
    /// Size of the body in bytes, where the server said it.
    pub(crate) len: Option<u64>,
    piece: Cursor<Vec<u8>>,
    pieces: Receiver<io::Result<Vec<u8>>>,
    cancel: CancelToken,
}

impl Reply {
    /// Sends the request and waits for the head of the reply, or until it is cancelled. A
    /// request that nobody waits for any more ends by its own time-out.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; within, what kept the reply from coming.
    pub(super) fn to(request: RequestBuilder, cancel: &CancelToken) -> Result<reqwest::Result<Self>> {
        let (to_head, head) = bounded(1);
        let (to_body, pieces) = bounded(PIECES_WAITING);
        std::thread::spawn(move || match request.send() {
            Ok(response) => {
                let parts = (response.status(), response.headers().clone(), response.url().clone());
                if to_head.send(Ok((parts, response.content_length()))).is_ok() {
                    read_body(response, &to_body);
                }
            }
            // nobody there to hear of it is one who has given up
            Err(e) => drop(to_head.send(Err(e))),
        });
        loop {
            cancel.check()?;
            match head.recv_timeout(POLL) {
                Ok(Ok(((status, headers, url), len))) => {
                    let (piece, cancel) = (Cursor::default(), cancel.clone());
                    return Ok(Ok(Self { status, headers, url, len, piece, pieces, cancel }));
                }
                Ok(Err(e)) => return Ok(Err(e)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Worker);
                }
            }
        }
    }
}

/// Hands on the body; its end is an empty piece.
fn read_body(mut response: Response, to: &Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let read = match response.read(&mut piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        let goes_on = read.as_ref().is_ok_and(|n| *n > 0);
        let handed_on = to.send(read.map(|n| {
            piece.truncate(n);
            piece
        }));
        if !goes_on || handed_on.is_err() {
            return;
        }
    }
}

impl Read for Reply {
    /// Fails, too, once the reply is not wanted any more.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.piece.read(buf)? {
                0 if buf.is_empty() => return Ok(0),
                0 => {}
                n => return Ok(n),
            }
            if self.cancel.is_cancelled() {
                return Err(io::Error::other(Error::Cancelled));
            }
            match self.pieces.recv_timeout(POLL) {
                Ok(piece) => {
                    let piece = piece?;
                    if piece.is_empty() {
                        return Ok(0);
                    }
                    self.piece = Cursor::new(piece);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // after its end, or after an error that was told
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}
