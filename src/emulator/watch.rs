//! Watching a console: has it said what is waited for, or that the machine cannot go on?

use regex::Regex;

/// What was seen on a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// What was waited for, in this line.
    Reached(String),
    /// The machine cannot go on by itself; this line says why.
    Stuck(String),
}

/// What a kernel or an init system says when nothing more will happen without a person.
const STUCK: &str = concat!(
    r"Kernel panic - not syncing",
    r"|You are in (emergency|rescue) mode",
    r"|^\(initramfs\)",
    r"|Cannot open access to console, the root account is locked",
);

/// Longest line that is looked at, in bytes; a console in graphics mode may never end one.
const LINE_MAX: usize = 16 << 10;

/// A console's text as it comes.
#[derive(Debug)]
pub struct Watch {
    until: Option<Regex>,
    stuck: Regex,
    line: Vec<u8>,
}

impl Watch {
    /// Waits for a line in which `until` is found.
    ///
    /// # Errors
    /// Not reached: the pattern that is built in is a good one.
    pub fn new(until: Option<Regex>) -> Result<Self, regex::Error> {
        Ok(Self { until, stuck: Regex::new(STUCK)?, line: Vec::new() })
    }

    /// Takes what came, and says what was seen in it first. The last line is looked at before it is
    /// complete: a prompt never ends in a line feed.
    pub fn see(&mut self, bytes: &[u8]) -> Option<Sight> {
        let mut seen = None;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            seen = seen.or_else(|| self.look());
            if part.ends_with(b"\n") || self.line.len() > LINE_MAX {
                self.line.clear();
            }
        }
        seen
    }

    fn look(&self) -> Option<Sight> {
        let line = plain(&self.line);
        let found = |pattern: &Regex| pattern.is_match(&line);
        if self.until.as_ref().is_some_and(found) {
            return Some(Sight::Reached(line));
        }
        found(&self.stuck).then_some(Sight::Stuck(line))
    }
}

/// A line without the terminal's control sequences (ECMA-48) and control characters.
#[must_use]
pub fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\x1b' => {
                if characters.next() == Some('[') {
                    // parameters and intermediates, then one final character
                    characters.by_ref().find(|c| ('\x40'..='\x7e').contains(c));
                }
            }
            '\t' => plain.push(' '),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(until: &str) -> Watch {
        Watch::new(Some(Regex::new(until).unwrap())).unwrap()
    }

    #[test]
    fn a_line_is_found_however_it_is_cut() {
        let text = b"[    0.0] Booting\r\n[\x1b[0;32m  OK  \x1b[0m] Reached target\r\nnode-1 login: ";
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            let mut watch = watch("^node-1 login:$");
            let seen = watch.see(head).or_else(|| watch.see(tail));
            assert_eq!(seen, Some(Sight::Reached("node-1 login:".into())), "cut at {cut}");
        }
        assert_eq!(watch("OK  ] Reached").see(text), Some(Sight::Reached("[  OK  ] Reached target".into())));
    }

    #[test]
    fn a_machine_that_cannot_go_on_is_noticed_at_once() {
        for line in [
            "[    9.1] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n",
            "You are in emergency mode. After logging in, type \"journalctl -xb\"\r\n",
            "(initramfs) ",
        ] {
            let seen = watch("login:").see(line.as_bytes());
            assert_eq!(seen, Some(Sight::Stuck(plain(line.as_bytes()))), "{line}");
        }
        assert_eq!(watch("login:").see(b"all is well\n"), None);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut watch = watch("login:");
        for _ in 0..100 {
            assert_eq!(watch.see(&[b'x'; 10_000]), None);
        }
        assert!(watch.line.capacity() < 10 * LINE_MAX);
    }
}
