//! One run of a program that asks somebody else, `ssh` or `kubectl`. What it prints comes in pieces, and whoever waits for them
//! goes by a token and a clock of their own: who talks without end, or does not talk at all, holds nobody.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Doing, Failure};
use crate::io::CancelToken;

/// What is read at once, in bytes, and how many of these pieces wait until somebody takes them.
const PIECE: usize = 1 << 16;
const AHEAD: usize = 4;
/// What is kept of what is said for people, in bytes: its end says why something failed.
const WORDS: usize = 1 << 16;
/// How often whoever waits looks whether that is still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// How long one that has nothing more to print may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long it may take once it was asked to end.
const FAREWELL: Duration = Duration::from_millis(500);
/// Between two looks whether it has ended.
const NAP: Duration = Duration::from_millis(5);

/// How long a program is listened to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until<'a> {
    cancel: &'a CancelToken,
    deadline: Option<Instant>,
}

impl<'a> Until<'a> {
    /// Until it ends, or the run is cancelled.
    pub(super) fn cancelled(cancel: &'a CancelToken) -> Self {
        Self { cancel, deadline: None }
    }

    /// The same, and not for longer than that.
    pub(super) fn within(self, time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(time), ..self }
    }

    fn over(self) -> Option<Ended> {
        if self.cancel.is_cancelled() {
            return Some(Ended::Cancelled);
        }
        self.deadline.is_some_and(|end| Instant::now() >= end).then_some(Ended::Late)
    }
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The program ended, with this exit code or by a signal, and these were the last words for people.
    ByItself { code: Option<i32>, words: Vec<u8> },
    /// Nobody wants it any longer.
    Cancelled,
    /// It took too long.
    Late,
    /// Whoever listened has heard enough.
    Enough,
}

/// Runs this program, gives it `input`, and hands on what it prints, piece by piece, until `piece` says that it is enough or
/// fails. It has ended when this returns.
pub(super) fn talk(
    program: Command,
    input: &[u8],
    until: Until<'_>,
    mut piece: impl FnMut(&[u8]) -> Result<bool, Failure>,
) -> Result<Ended, Failure> {
    if let Some(over) = until.over() {
        return Ok(over);
    }
    let mut running = Running::begin(program, input)?;
    loop {
        // However much it prints.
        if let Some(over) = until.over() {
            return Ok(over);
        }
        match running.pieces.recv_timeout(LOOK) {
            Ok(bytes) => {
                if !piece(&bytes)? {
                    return Ok(Ended::Enough);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let ended = running.end(until)?;
    // Ctrl-C ends the program, too, which then looks like somebody who cannot be reached.
    match ended {
        Ended::ByItself { code, .. } if code != Some(0) && until.cancel.is_cancelled() => {
            Ok(Ended::Cancelled)
        }
        ended => Ok(ended),
    }
}

/// A program that was started; ended when dropped.
struct Running {
    /// What it is called, and where it is from.
    name: String,
    child: Child,
    pieces: Receiver<Vec<u8>>,
    words: Receiver<Vec<u8>>,
}

impl Running {
    fn begin(mut program: Command, input: &[u8]) -> Result<Self, Failure> {
        let name = match program.get_program().to_string_lossy() {
            name if name == "ssh" => "ssh, which is in the package openssh-client".to_owned(),
            name => name.into_owned(),
        };
        program.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let spawned = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.doing(|| running(&name))?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_owned();
            // Whoever does not read it says why.
            thread::spawn(move || stdin.write_all(&input).and_then(|()| stdin.flush()));
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (to, pieces) = mpsc::sync_channel(AHEAD);
        thread::spawn(move || hand_on(stdout, &to));
        // By a channel, since another ssh, through which this one goes, may hold that end for longer.
        let (to, words) = mpsc::channel();
        thread::spawn(move || to.send(last_of(stderr)));
        Ok(Self { name, child, pieces, words })
    }

    /// Waits for the end of one that has nothing more to print.
    fn end(&mut self, until: Until<'_>) -> Result<Ended, Failure> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().doing(|| running(&self.name))? {
                let words = self.words.recv_timeout(GRACE).unwrap_or_default();
                return Ok(Ended::ByItself { code: status.code(), words });
            }
            if let Some(over) = until.over() {
                return Ok(over);
            }
            if since.elapsed() >= GRACE {
                return Ok(Ended::Late);
            }
            thread::sleep(NAP);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An ssh that is asked to end takes the one along that it goes through (sshconnect.c, ssh_kill_proxy_command).
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if since.elapsed() >= FAREWELL {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(NAP);
        }
    }
}

fn running(name: &str) -> String {
    format!("running {name}")
}

fn hand_on(source: Option<impl Read>, to: &SyncSender<Vec<u8>>) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; PIECE];
    while let Some(count) = next(&mut source, &mut buffer) {
        // Whoever has heard enough takes no more.
        if to.send(buffer[..count].to_vec()).is_err() {
            return;
        }
    }
}

/// The end of what a program prints.
fn last_of(source: Option<impl Read>) -> Vec<u8> {
    let Some(mut source) = source else { return Vec::new() };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; PIECE]);
    while let Some(count) = next(&mut source, &mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        let over = kept.len().saturating_sub(WORDS);
        kept.drain(..over);
    }
    kept
}

/// Reads on; `None` at the end, and where nothing can be read any more: whoever asks sees whether it is whole.
fn next(source: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match source.read(buffer) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn heard(script: &str, input: &[u8], until: Until<'_>, most: usize) -> (Ended, Vec<u8>, Duration) {
        let (begun, mut all) = (Instant::now(), Vec::new());
        let ended = talk(shell(script), input, until, |bytes| {
            all.extend_from_slice(bytes);
            Ok(all.len() < most)
        });
        (ended.unwrap(), all, begun.elapsed())
    }

    #[test]
    fn a_command_is_heard_to_its_end() {
        let cancel = CancelToken::default();
        let until = Until::cancelled(&cancel).within(Duration::from_secs(60));
        let (ended, all, _) = heard("cat; echo why >&2; exit 7", b"what", until, usize::MAX);
        assert!(matches!(ended, Ended::ByItself { code: Some(7), words } if words == b"why\n"));
        assert_eq!(all, b"what");
        let long = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done >&2; echo last >&2";
        let (ended, ..) = heard(long, b"", until, usize::MAX);
        let Ended::ByItself { code: Some(0), words } = ended else { panic!("{ended:?}") };
        assert!(words.len() <= WORDS && words.ends_with(b"19999\nlast\n"));
    }

    /// One that talks all the time, one that says nothing, one that closes its output and stays.
    #[test]
    fn whoever_does_not_want_it_any_longer_does_not_wait() {
        let talks = "while echo more; do sleep 0.02; done";
        for script in [talks, "exec sleep 60", "exec >&- 2>&-; exec sleep 60", "trap '' TERM; exec sleep 60"]
        {
            let cancel = CancelToken::default();
            let short = Until::cancelled(&cancel).within(Duration::from_millis(300));
            let (ended, _, took) = heard(script, b"", short, usize::MAX);
            assert!(
                matches!(ended, Ended::Late) && took < Duration::from_secs(8),
                "{script}: {ended:?}, {took:?}"
            );
            let (ended, took) = thread::scope(|scope| {
                let talk = scope.spawn(|| heard(script, b"", Until::cancelled(&cancel), usize::MAX));
                thread::sleep(Duration::from_millis(300));
                cancel.cancel();
                let (ended, _, took) = talk.join().unwrap();
                (ended, took)
            });
            assert!(
                matches!(ended, Ended::Cancelled) && took < Duration::from_secs(8),
                "{script}: {ended:?}, {took:?}"
            );
        }
        let cancel = CancelToken::default();
        let (ended, all, took) = heard("exec cat /dev/zero", b"", Until::cancelled(&cancel), 1_000_000);
        assert!(matches!(ended, Ended::Enough) && took < Duration::from_secs(8), "{ended:?}, {took:?}");
        assert!(all.len() < 1_000_000 + PIECE);
    }
}
