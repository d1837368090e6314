//! Where consoles are shown: one on the terminal as it is, several with names before their lines; in
//! files where that was asked for.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::terminal::{RawMode, type_on};
use crate::cli::session::Session;
use crate::emulator::machine::Setup;
use crate::emulator::session::Viewer;
use crate::emulator::watch::plain;
use crate::error::{Doing, Failure};
use crate::io::CancelToken;

/// The consoles of a run, as they are shown.
pub(super) struct View {
    consoles: Vec<Console>,
    raw: Option<RawMode>,
    /// Consoles go to standard output; not where results do, as JSON.
    is_shown: bool,
    leave: CancelToken,
}

struct Console {
    /// What stands before each line, where there is more than one console.
    name: Option<String>,
    line: Vec<u8>,
    log: Option<File>,
}

impl View {
    /// Makes ready to show the consoles of `machines`, and to log them. Who types there can `leave`.
    pub(super) fn open(
        log: Option<&Path>,
        machines: &[(String, Setup)],
        leave: &CancelToken,
        session: &Session,
    ) -> Result<Self, Failure> {
        let several = machines.len() > 1;
        let width = machines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut consoles = Vec::with_capacity(machines.len());
        for (name, _) in machines {
            let path = log.map(|log| if several { named(log, name) } else { log.to_owned() });
            let create =
                |path: PathBuf| File::create(&path).doing(|| format!("making the log {}", path.display()));
            let log = path.map(create).transpose()?;
            let name = several.then(|| format!("{name:width$} | "));
            consoles.push(Console { name, line: Vec::new(), log });
        }
        let is_shown = !session.is_json();
        let raw = if several || !is_shown {
            None
        } else {
            RawMode::enter().doing(|| "taking over the terminal".to_owned())?
        };
        if raw.is_some() {
            // without a carriage return the next line would begin where this one ends
            session.progress().note("the console of the emulated machine; Ctrl-A X leaves\r");
        }
        Ok(Self { consoles, raw, is_shown, leave: leave.clone() })
    }

    /// Whether a person types on the console.
    pub(super) fn is_attended(&self) -> bool {
        self.raw.is_some()
    }

    /// Gives the terminal back, and shows lines that never ended.
    pub(super) fn close(mut self) {
        drop(self.raw.take());
        let mut out = io::stdout().lock();
        for console in
            self.consoles.iter().filter(|console| console.name.is_some() && !console.line.is_empty())
        {
            // nobody may be reading any more
            let _ = console.put(&mut out);
        }
        if self.is_shown && self.consoles.iter().all(|console| console.name.is_none()) {
            let _ = writeln!(out);
        }
    }
}

/// `boot.log` for `node-1`: `boot.node-1.log`.
fn named(log: &Path, node: &str) -> PathBuf {
    let mut name = log.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{node}"));
    if let Some(extension) = log.extension() {
        name.push(".");
        name.push(extension);
    }
    log.with_file_name(name)
}

impl Console {
    /// The line as far as it is there, behind the name.
    fn put(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}{}", self.name.as_deref().unwrap_or_default(), plain(&self.line))
    }

    fn show(&mut self, bytes: &[u8], is_shown: bool) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            log.write_all(bytes)?;
        }
        if !is_shown {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.name.is_none() {
            out.write_all(bytes)?;
            return out.flush();
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.put(&mut out)?;
                self.line.clear();
            }
        }
        out.flush()
    }
}

impl Viewer for View {
    fn show(&mut self, machine: usize, bytes: &[u8]) -> io::Result<()> {
        let is_shown = self.is_shown;
        self.consoles.get_mut(machine).map_or(Ok(()), |console| console.show(bytes, is_shown))
    }

    fn started(&mut self, _machine: usize, console: Arc<UnixStream>) -> io::Result<()> {
        if self.consoles.len() > 1 || !self.is_shown {
            return Ok(());
        }
        let (is_terminal, leave) = (io::stdin().is_terminal(), self.leave.clone());
        // it ends with the program, at the latest: a read from a terminal cannot be broken off
        let typist = std::thread::Builder::new().name("keyboard".to_owned());
        typist.spawn(move || type_on(&console, is_terminal, &leave))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_log_of_its_own() {
        assert_eq!(named(Path::new("/a/boot.log"), "node-1"), Path::new("/a/boot.node-1.log"));
        assert_eq!(named(Path::new("boot"), "node-1"), Path::new("boot.node-1"));
    }
}
