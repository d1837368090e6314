//! The user's terminal as the console of a machine.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;

use rustix::termios::{self, OptionalActions, Termios};

use crate::io::CancelToken;

/// The key that commands begin with, as in QEMU: Ctrl-A.
const ESCAPE: u8 = 1;

/// A terminal whose keys all go to the machine; itself again when dropped.
pub(super) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Switches standard input over, if it is a terminal.
    pub(super) fn enter() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = termios::tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // the terminal may be gone, and then it matters to nobody
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Types what comes from standard input on `console`, until one of them ends. On a terminal, Ctrl-A X
/// asks for the end by cancelling `leave`.
pub(super) fn type_on(mut console: &UnixStream, is_terminal: bool, leave: &CancelToken) {
    let mut keys = Keys::new(is_terminal);
    let mut buffer = [0; 1024];
    let mut stdin = io::stdin();
    loop {
        let typed = match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => buffer.get(..n).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let through = keys.take(typed);
        if console.write_all(&through).is_err() {
            return;
        }
        if keys.leave {
            leave.cancel();
            return;
        }
    }
}

/// Tells keys for the machine from those for pibake.
struct Keys {
    commands: bool,
    escaped: bool,
    leave: bool,
}

impl Keys {
    fn new(commands: bool) -> Self {
        Self { commands, escaped: false, leave: false }
    }

    /// What of `typed` is for the machine.
    fn take(&mut self, typed: &[u8]) -> Vec<u8> {
        if !self.commands {
            return typed.to_vec();
        }
        let mut through = Vec::with_capacity(typed.len());
        for key in typed {
            match (std::mem::take(&mut self.escaped), *key) {
                (false, ESCAPE) => self.escaped = true,
                (true, b'x' | b'X') => self.leave = true,
                (_, key) => through.push(key),
            }
        }
        through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_x_leaves_and_ctrl_a_twice_is_one() {
        let mut keys = Keys::new(true);
        assert_eq!(keys.take(b"ls\r\x01"), b"ls\r");
        assert_eq!(keys.take(b"\x01"), b"\x01");
        assert!(!keys.leave);
        assert_eq!(keys.take(b"\x01"), b"");
        assert_eq!(keys.take(b"x"), b"");
        assert!(keys.leave);
    }

    #[test]
    fn what_a_script_types_goes_through_as_it_is() {
        let mut keys = Keys::new(false);
        assert_eq!(keys.take(b"\x01x"), b"\x01x");
        assert!(!keys.leave);
    }
}
