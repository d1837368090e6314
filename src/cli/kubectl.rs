//! Running the `kubectl` of this machine.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use super::shortened::{SENTENCE_MAX, shortened};
use crate::error::{Doing, ErrorClass, Failure};

/// What kubectl prints; `input` goes to it by its standard input, where no list of processes shows it.
pub(super) fn kubectl<'a>(
    arguments: impl IntoIterator<Item = &'a OsStr>,
    input: Option<&str>,
) -> Result<String, Failure> {
    let mut command = Command::new("kubectl");
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().doing(|| "running kubectl".to_owned())?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // One that ends early says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let out = child.wait_with_output().doing(|| "running kubectl".to_owned())?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        let said = said.trim().lines().last().unwrap_or("it failed and said nothing");
        let said = shortened(said, SENTENCE_MAX);
        return Err(Failure::new(ErrorClass::Failed, format!("kubectl: {said}")));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
