//! A download from its beginning to its end, however often it must be begun.

use reqwest::Url;

use crate::base::decode::pipeline::Stop;
use crate::base::{Error, Result};
use crate::http::{self, Agent, Download, Place};
use crate::progress::Progress;

/// How often a file is begun again because the server's changed or what was kept of an earlier
/// download was bad.
const MOST_RESTARTS: u32 = 3;

/// Downloads `url` to `place` and has it read by `read`, again from the beginning where what came cannot be one
/// file. `by_digest` says whether a digest decides at the end. What was downloaded is kept where it can be resumed,
/// and is gone when `read` had all of it.
pub(crate) fn whole<T>(
    agent: &Agent<'_>,
    url: &Url,
    place: &Place,
    by_digest: bool,
    progress: &dyn Progress,
    mut read: impl FnMut(&mut Download<'_>) -> Result<T, Stop>,
) -> Result<T> {
    let is_bad = |error: &Error| {
        matches!(
            error,
            Error::WrongDigest { .. } | Error::Decode { .. } | Error::Http(http::Error::TooLarge { .. })
        )
    };
    let mut restarts = 0;
    loop {
        let mut download = Download::open(agent, url, place, by_digest, progress)?;
        let fault = match read(&mut download) {
            Ok(found) => {
                place.clear();
                return Ok(found);
            }
            Err(fault) => fault,
        };
        let again = match &fault {
            Stop::Restart => Some("the file on the server changed"),
            Stop::Failed(error) if is_bad(error) && download.is_joined() => {
                Some("what was put together of several transfers is not good")
            }
            Stop::Failed(_) => None,
        };
        match (again, fault) {
            (Some(reason), _) if restarts < MOST_RESTARTS => {
                progress.note(&format!("{reason}; restarting from the beginning"));
                place.clear();
                restarts += 1;
            }
            (_, Stop::Restart) => {
                let reason = "the file on the server changes all the time".to_owned();
                return Err(agent.network(url, reason, restarts + 1).into());
            }
            (_, Stop::Failed(error)) => {
                // an interrupted one is resumed later, a bad one never becomes good
                if is_bad(&error) {
                    place.clear();
                }
                return Err(error);
            }
        }
    }
}
