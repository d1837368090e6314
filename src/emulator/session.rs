//! One or several machines running, until what is waited for has happened.

use std::io::{self, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use regex::Regex;

use super::machine::Setup;
use super::qemu::{self, Qemu, Running};
use super::watch::{Sight, Watch};
use crate::error::{Classified, ErrorClass};
use crate::io::cancel::{CancelToken, Cancelled, POLL};

/// How long a machine that cannot go on may finish its sentence.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a run did not come to a good end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The console's socket fails.
    #[error("listening to the console of {name} at {path}")]
    Console {
        /// The machine.
        name: String,
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever watches cannot show what the console says.
    #[error("showing what the console says")]
    Show(#[source] io::Error),
    /// Something that this machine refuses.
    #[error("watching the machines")]
    System(#[source] io::Error),
    /// Not reached: the pattern that is built in is a good one.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
    /// Nothing can be typed on the console.
    #[error("typing on the console of {name}")]
    Typing {
        /// The machine.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever watches wanted it to end before it had begun.
    #[error("interrupted")]
    Left,
    /// Whoever watches wanted it to end before every console had said what was waited for.
    #[error("interrupted after {seconds} s: no console line with {until:?}: {}", names.join(", "))]
    Interrupted {
        /// The machines that were still waited for.
        names: Vec<String>,
        /// Seconds from the start.
        seconds: u64,
        /// What was waited for.
        until: String,
    },
    /// The emulator cannot be run.
    #[error(transparent)]
    Qemu(#[from] qemu::Error),
    /// The emulator ended by itself.
    #[error("QEMU ended while it ran {name} ({status}){}", said(complaints))]
    Died {
        /// The machine.
        name: String,
        /// How it ended.
        status: String,
        /// What it said of itself.
        complaints: String,
    },
    /// The machine was switched off before it said what was waited for.
    #[error("{name} was switched off after {seconds} s, before its console said {until:?}")]
    TooEarly {
        /// The machine.
        name: String,
        /// Seconds from its start.
        seconds: u64,
        /// What was waited for.
        until: String,
    },
    /// The machine cannot go on.
    #[error("{name} cannot go on: {line}")]
    Stuck {
        /// The machine.
        name: String,
        /// What its console says.
        line: String,
    },
    /// It took too long.
    #[error("{} after {seconds} s: {}", waited_for(until), names.join(", "))]
    TimedOut {
        /// The machines that were still waited for.
        names: Vec<String>,
        /// Seconds from the start.
        seconds: u64,
        /// What was waited for, if not the end.
        until: Option<String>,
    },
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Console { source, .. }
            | Self::Show(source)
            | Self::System(source)
            | Self::Typing { source, .. } => ErrorClass::of_io(source),
            Self::Pattern(_) => ErrorClass::Internal,
            Self::Left | Self::Interrupted { .. } => ErrorClass::Cancelled,
            Self::Qemu(error) => error.class(),
            Self::Died { .. } | Self::TooEarly { .. } | Self::Stuck { .. } | Self::TimedOut { .. } => {
                ErrorClass::Failed
            }
        }
    }
}

fn said(complaints: &str) -> String {
    if complaints.is_empty() { String::new() } else { format!(": {complaints}") }
}

fn waited_for(until: &Option<String>) -> String {
    match until {
        Some(until) => format!("no console line with {until:?}"),
        None => "not switched off".to_owned(),
    }
}

/// When a run ends, beside that all machines were switched off.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Every console has said this.
    pub until: Option<Regex>,
    /// This much time has passed.
    pub timeout: Option<Duration>,
    /// A person sits at the console and can deal with an emergency shell.
    pub attended: bool,
}

/// How a run ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every console said what was waited for: the line, and the time from the start, of each machine.
    Reached(Vec<(String, Duration)>),
    /// All machines were switched off.
    Off,
    /// Whoever watches wanted it to end.
    Left,
}

/// Who watches the consoles of a run.
pub trait Viewer {
    /// The machine with this index said something.
    ///
    /// # Errors
    /// Ends the run.
    fn show(&mut self, machine: usize, bytes: &[u8]) -> io::Result<()>;

    /// A machine is running; what is written to `console` is typed on it.
    ///
    /// # Errors
    /// Ends the run: a console on which nothing can be typed cannot be left either.
    fn started(&mut self, machine: usize, console: Arc<UnixStream>) -> io::Result<()>;
}

struct Machine {
    name: String,
    watch: Watch,
    running: Option<Running>,
    reached: Option<(String, Duration)>,
    console_open: bool,
}

enum Event {
    Said(usize, Vec<u8>),
    Closed(usize),
}

/// Runs `machines`, each with its name, until one of `ending`'s conditions holds, or whoever watches wants to
/// `leave`.
///
/// # Errors
/// [`Error`]. No QEMU is running afterwards, whatever is returned.
pub fn run(
    qemu: &Qemu,
    machines: &[(String, Setup)],
    ending: &Ending,
    viewer: &mut dyn Viewer,
    leave: &CancelToken,
) -> Result<Outcome, Error> {
    let begun = Instant::now();
    let (events, receiver) = unbounded();
    let mut started = Vec::with_capacity(machines.len());
    for (index, (name, setup)) in machines.iter().enumerate() {
        let (running, console) = start(qemu, name, setup, leave)?;
        let console = Arc::new(console);
        let typing = |source| Error::Typing { name: name.clone(), source };
        viewer.started(index, Arc::clone(&console)).map_err(typing)?;
        let events = events.clone();
        let reader = std::thread::Builder::new().name(format!("{name} console"));
        let spawned = reader.spawn(move || {
            read(index, &console, &events);
        });
        spawned.map_err(Error::System)?;
        let watch = Watch::new(ending.until.clone())?;
        let running = Some(running);
        started.push(Machine { name: name.clone(), watch, running, reached: None, console_open: true });
    }
    drop(events);
    let mut session = Session { machines: started, ending, begun };
    session.watch(&receiver, viewer, leave)
}

/// Starts a machine and waits until it has connected its console.
fn start(
    qemu: &Qemu,
    name: &str,
    setup: &Setup,
    leave: &CancelToken,
) -> Result<(Running, UnixStream), Error> {
    let path = &setup.files.console;
    let failed = |source| Error::Console { name: name.to_owned(), path: path.clone(), source };
    let listener = listen(path).map_err(failed)?;
    let mut running = qemu.start(&setup.arguments())?;
    loop {
        match listener.accept() {
            Ok((console, _)) => {
                console.set_nonblocking(false).map_err(failed)?;
                return Ok((running, console));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(failed(e)),
        }
        if let Some(status) = running.ended().map_err(failed)? {
            let status = qemu::how(status);
            return Err(Error::Died { name: name.to_owned(), status, complaints: running.stop() });
        }
        leave.sleep(POLL / 4).map_err(|Cancelled| Error::Left)?;
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn read(index: usize, mut console: &UnixStream, events: &Sender<Event>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n @ 1..) = console.read(&mut buffer) {
        let said = buffer.get(..n).unwrap_or_default().to_vec();
        if events.send(Event::Said(index, said)).is_err() {
            return;
        }
    }
    // nobody may be waiting for it any more
    let _ = events.send(Event::Closed(index));
}

struct Session<'a> {
    machines: Vec<Machine>,
    ending: &'a Ending,
    begun: Instant,
}

impl Session<'_> {
    fn watch(
        &mut self,
        events: &Receiver<Event>,
        viewer: &mut dyn Viewer,
        leave: &CancelToken,
    ) -> Result<Outcome, Error> {
        loop {
            match events.recv_timeout(POLL) {
                Ok(Event::Said(index, bytes)) => {
                    viewer.show(index, &bytes).map_err(Error::Show)?;
                    if let Some(line) = self.see(index, &bytes) {
                        let name = self.machines.get(index).map(|m| m.name.clone()).unwrap_or_default();
                        self.hear_out(events, viewer);
                        return Err(Error::Stuck { name, line });
                    }
                }
                Ok(Event::Closed(index)) => {
                    if let Some(machine) = self.machines.get_mut(index) {
                        machine.console_open = false;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // all consoles are closed, and machines end next
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(POLL),
            }
            if self.ending.until.is_some() && self.machines.iter().all(|m| m.reached.is_some()) {
                let reached = self.machines.iter_mut().filter_map(|m| m.reached.take()).collect();
                return Ok(Outcome::Reached(reached));
            }
            if leave.is_cancelled() {
                return self.left();
            }
            if self.all_off()? {
                return Ok(Outcome::Off);
            }
            self.check_time()?;
        }
    }

    /// Looks at what a machine said; the line that says that it cannot go on, if one does.
    fn see(&mut self, index: usize, bytes: &[u8]) -> Option<String> {
        let machine = self.machines.get_mut(index)?;
        match machine.watch.see(bytes)? {
            Sight::Reached(line) => {
                machine.reached.get_or_insert((line, self.begun.elapsed()));
                None
            }
            Sight::Stuck(line) => {
                let is_hopeless = line.contains("panic");
                (is_hopeless || !self.ending.attended).then_some(line)
            }
        }
    }

    /// Shows what is still being said by machines that cannot go on.
    fn hear_out(&self, events: &Receiver<Event>, viewer: &mut dyn Viewer) {
        let end = Instant::now() + LAST_WORDS;
        while let Ok(event) = events.recv_deadline(end) {
            if let Event::Said(index, bytes) = event
                && viewer.show(index, &bytes).is_err()
            {
                return;
            }
        }
    }

    /// Whether every machine was switched off; an error if one was too early, or QEMU failed.
    fn all_off(&mut self) -> Result<bool, Error> {
        let mut all = true;
        for machine in &mut self.machines {
            // what it said last is looked at before its end
            let Some(running) = machine.running.as_mut().filter(|_| !machine.console_open) else {
                all &= machine.running.is_none();
                continue;
            };
            let Some(status) = running.ended().map_err(Error::System)? else {
                all = false;
                continue;
            };
            let complaints = machine.running.take().map(Running::stop).unwrap_or_default();
            let name = machine.name.clone();
            if !status.success() {
                return Err(Error::Died { name, status: qemu::how(status), complaints });
            }
            if let Some(until) = self.ending.until.as_ref().filter(|_| machine.reached.is_none()) {
                let seconds = self.begun.elapsed().as_secs();
                return Err(Error::TooEarly { name, seconds, until: until.to_string() });
            }
        }
        Ok(all)
    }

    /// The end that whoever watches wanted: a good one where nothing was waited for.
    fn left(&self) -> Result<Outcome, Error> {
        let Some(until) = &self.ending.until else { return Ok(Outcome::Left) };
        let seconds = self.begun.elapsed().as_secs();
        Err(Error::Interrupted { names: self.missing(), seconds, until: until.to_string() })
    }

    fn check_time(&self) -> Result<(), Error> {
        let passed = self.begun.elapsed();
        if self.ending.timeout.is_none_or(|timeout| passed < timeout) {
            return Ok(());
        }
        let until = self.ending.until.as_ref().map(Regex::to_string);
        Err(Error::TimedOut { names: self.missing(), seconds: passed.as_secs(), until })
    }

    /// The names of the machines that are still waited for.
    fn missing(&self) -> Vec<String> {
        let is_missing = |m: &&Machine| match self.ending.until {
            Some(_) => m.reached.is_none(),
            None => m.running.is_some(),
        };
        self.machines.iter().filter(is_missing).map(|m| m.name.clone()).collect()
    }
}
