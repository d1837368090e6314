//! The emulator itself: is it there, is it new enough, and running it so that it never outlives us.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use crate::error::{Classified, ErrorClass};
use crate::io::shell_word;

/// Name of QEMU's program for arm64 machines.
pub const PROGRAM: &str = "qemu-system-aarch64";

/// The first version that has `raspi4b` (QEMU's change log of 9.0).
const OLDEST: (u32, u32) = (9, 0);

/// How much of what QEMU says of itself is kept, in bytes.
const COMPLAINTS_MAX: u64 = 16 << 10;

const HOW_TO_GET: &str = "On Debian and Ubuntu it is in the package qemu-system-arm (Debian 12: \
     `apt install -t bookworm-backports qemu-system-arm`), with Homebrew in qemu";

/// Why there is no emulator to use, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not installed.
    #[error("{program} was not found: booting needs QEMU {}.{} or newer. {HOW_TO_GET}", OLDEST.0, OLDEST.1)]
    NotFound {
        /// What was looked for.
        program: String,
    },
    /// It cannot be run.
    #[error("running {program}")]
    Run {
        /// What was run.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It does not say its version.
    #[error("{program} is not QEMU: asked for its version it says {said:?}")]
    NotQemu {
        /// What was run.
        program: String,
        /// The first line of its answer.
        said: String,
    },
    /// It has no `raspi4b`.
    #[error("{program} is QEMU {version}; booting needs {}.{} or newer, the first with raspi4b. {HOW_TO_GET}", OLDEST.0, OLDEST.1)]
    TooOld {
        /// What was run.
        program: String,
        /// Its version.
        version: String,
    },
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Run { source, .. } => ErrorClass::of_io(source),
            Self::NotFound { .. } | Self::NotQemu { .. } | Self::TooOld { .. } => ErrorClass::Failed,
        }
    }
}

/// The whole command line, for a person to read and a shell to run.
pub fn command_line(program: &OsStr, arguments: &[OsString]) -> String {
    let words = std::iter::once(program).chain(arguments.iter().map(OsString::as_os_str));
    words.map(shell_word).collect::<Vec<_>>().join(" ")
}

/// A QEMU that is new enough.
#[derive(Debug, Clone)]
pub struct Qemu {
    program: OsString,
}

impl Qemu {
    /// Asks `program` for its version.
    ///
    /// # Errors
    /// [`Error`]
    pub fn find(program: &OsStr) -> Result<Self, Error> {
        let name = || program.to_string_lossy().into_owned();
        let out = Command::new(program).arg("--version").stdin(Stdio::null()).output().map_err(|source| {
            match source.kind() {
                io::ErrorKind::NotFound => Error::NotFound { program: name() },
                _ => Error::Run { program: name(), source },
            }
        })?;
        let said = String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned();
        let (version, number) =
            parse_version(&said).ok_or_else(|| Error::NotQemu { program: name(), said: said.clone() })?;
        if number < OLDEST {
            return Err(Error::TooOld { program: name(), version });
        }
        Ok(Self { program: program.to_owned() })
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::Run`]
    pub fn start(&self, arguments: &[OsString]) -> Result<Running, Error> {
        let failed = |source| Error::Run { program: self.program.to_string_lossy().into_owned(), source };
        let mut child = Command::new("sh")
            .args(["-c", GUARD, "pibake-qemu"])
            .arg(&self.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let life = child.stdin.take();
        let complaints = child.stderr.take().map(|stderr| std::thread::spawn(move || collect(stderr)));
        Ok(Running { child, life, complaints })
    }
}

/// Runs QEMU until it ends, or until standard input does: the pipe to it breaks when pibake ends, in
/// whatever way, and then QEMU is told to end as well. A shell of POSIX does that everywhere, and
/// without a line of unsafe code between fork and exec.
const GUARD: &str = r#"
exec 3<&0 4>&2 2>/dev/null
"$@" </dev/null 2>&4 3<&- 4>&- &
qemu=$!
{ while read -r _; do :; done; kill "$qemu"; } <&3 >/dev/null 4>&- &
guard=$!
exec 3<&- 4>&-
wait "$qemu"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"#;

/// A QEMU under way; ended when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    life: Option<ChildStdin>,
    complaints: Option<JoinHandle<String>>,
}

impl Running {
    /// How it ended, if it has.
    ///
    /// # Errors
    /// What waiting for it answers.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it, and returns what it said of itself; the card is whole, as a card is whose machine lost
    /// its power.
    #[must_use]
    pub fn stop(mut self) -> String {
        self.end();
        self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    fn end(&mut self) {
        drop(self.life.take());
        // it cannot fail for a child that was not waited for
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// How it ended, for people. The shell around it answers with 128 and the signal's number.
pub(super) fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code @ 129..=192) => format!("killed by signal {}", code - 128),
        _ => status.to_string(),
    }
}

fn collect(stderr: impl Read) -> String {
    let mut bytes = Vec::new();
    let mut stderr = stderr;
    // what is past the limit is read as well, so that QEMU is never held up
    let _ = stderr.by_ref().take(COMPLAINTS_MAX).read_to_end(&mut bytes);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// `QEMU emulator version 10.0.2 (Debian …)` -> `10.0.2`, (10, 0)
fn parse_version(said: &str) -> Option<(String, (u32, u32))> {
    let version = said.split("version ").nth(1)?.split_ascii_whitespace().next()?;
    let mut numbers = version.split('.').map(str::parse);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next()?.ok()?;
    Some((version.to_owned(), (major, minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_every_form_that_is_out_there() {
        let version = |said| parse_version(said).map(|(_, number)| number);
        let debian = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2~bpo12+1)";
        assert_eq!(version(debian), Some((10, 0)));
        assert_eq!(version("QEMU emulator version 8.2.50"), Some((8, 2)));
        assert_eq!(version("qemu-img 9"), None);
        assert_eq!(version(""), None);
        assert!(version("QEMU emulator version 7.2.17 (Debian)").unwrap() < OLDEST);
    }

    #[test]
    fn what_a_shell_would_split_is_quoted() {
        let arguments = ["-append", "a b", "it's", ""].map(OsString::from);
        assert_eq!(
            command_line(PROGRAM.as_ref(), &arguments),
            r"qemu-system-aarch64 -append 'a b' 'it'\''s' ''"
        );
    }

    #[test]
    fn it_ends_when_it_is_stopped_and_says_what_it_said() {
        let sh = Qemu { program: "sh".into() };
        let script = ["-c", "echo complaint >&2; exec sleep 1000"].map(OsString::from);
        let running = sh.start(&script).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(running.stop(), "complaint");
    }

    #[test]
    fn its_own_end_and_status_are_seen() {
        let sh = Qemu { program: "sh".into() };
        let mut running = sh.start(&["-c", "exit 7"].map(OsString::from)).unwrap();
        let status = loop {
            match running.ended().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        };
        assert_eq!(status.code(), Some(7));
    }
}
