//! Running the `kubectl` of this machine.

use std::ffi::OsStr;
use std::process::Command;

use super::shortened::{SENTENCE_MAX, shortened};
use super::talk::{Ended, Until, talk};
use crate::error::{ErrorClass, Failure};
use crate::io::CancelToken;

/// What kubectl prints; `input` goes to it by its standard input, where no list of processes shows it. It ends when the run
/// is cancelled, however long it would still wait for the cluster.
pub(super) fn kubectl<'a>(
    arguments: impl IntoIterator<Item = &'a OsStr>,
    input: Option<&str>,
    cancel: &CancelToken,
) -> Result<String, Failure> {
    let mut command = Command::new("kubectl");
    command.args(arguments);
    let (input, mut out) = (input.unwrap_or_default().as_bytes(), Vec::new());
    let ended = talk(command, input, Until::cancelled(cancel), |piece| {
        out.extend_from_slice(piece);
        Ok(true)
    })?;
    let said = match ended {
        Ended::Cancelled => return Err(Failure::new(ErrorClass::Cancelled, "cancelled")),
        Ended::ByItself { code: Some(0), .. } => return Ok(String::from_utf8_lossy(&out).into_owned()),
        Ended::ByItself { words, .. } => String::from_utf8_lossy(&words).into_owned(),
        Ended::Late | Ended::Enough => "it has said all, and does not end".to_owned(),
    };
    let said = said.trim().lines().last().unwrap_or("it failed and said nothing");
    Err(Failure::new(ErrorClass::Failed, format!("kubectl: {}", shortened(said, SENTENCE_MAX))))
}
