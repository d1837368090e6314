//! One machine that `pibake boot` runs, and what its console says.
#![allow(dead_code)] // each test binary uses its own part

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::tool_path;

/// How long anything may take. Emulated, with other work on the machine: patience is cheap, since a
/// machine that cannot go on says so and ends the test at once.
pub const PATIENCE: Duration = Duration::from_secs(1500);

/// What is printed with its time as it passes: part of a line, and what that means.
const MILESTONES: [(&str, &str); 9] = [
    ("Linux version ", "the kernel runs"),
    ("EXT4-fs (", "the root file system is mounted"),
    ("systemd[1]: Hostname set to", "systemd runs"),
    ("running 'init-local'", "cloud-init runs"),
    ("running 'init' at", "cloud-init has the network"),
    (" login: ", "login"),
    ("running 'modules:final'", "cloud-init is at its last modules"),
    ("finished at", "cloud-init has finished"),
    ("reboot: Power down", "off"),
];

/// Lines of the console that a failing test shows.
const LAST_WORDS: usize = 100;

thread_local! {
    /// The test that this thread runs.
    static TEST: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Has the machines that this thread starts from now on say which test they are of.
pub fn name_test(test: &'static str) {
    TEST.set(Some(test));
}

/// A running machine. Killed when dropped; after a failure its last words are shown.
pub struct Machine {
    /// The test and the node.
    name: String,
    child: Child,
    keyboard: ChildStdin,
    /// How much of the console's log is answered, in bytes.
    answered: usize,
    console: Arc<Console>,
    reader: Option<JoinHandle<()>>,
    complaints: PathBuf,
    begun: Instant,
}

/// The console's text as it comes.
struct Console {
    name: String,
    log: PathBuf,
    lines: Mutex<Vec<String>>,
    begun: Instant,
    ended: AtomicBool,
}

impl Machine {
    /// Starts what `command`, a `pibake boot`, runs. Its logs go to the folder `logs`.
    pub fn start(name: &str, command: &mut Command, logs: &Path) -> Self {
        let begun = Instant::now();
        let label = TEST.get().map_or_else(|| name.to_owned(), |test| format!("{test}.{name}"));
        let (log, complaints) = (logs.join(format!("{name}.console")), logs.join(format!("{name}.errors")));
        File::create(&log).unwrap();
        // Whatever happens to this program, no machine stays behind.
        let mut guarded = Command::new(tool_path("setpriv", "util-linux"));
        guarded.args(["--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
        guarded.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        guarded.current_dir(command.get_current_dir().expect("a project's folder")).arg("--log").arg(&log);
        guarded.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = guarded.stderr(File::create(&complaints).unwrap()).spawn().unwrap();
        let console = Arc::new(Console {
            name: label.clone(),
            log,
            lines: Mutex::default(),
            begun,
            ended: AtomicBool::new(false),
        });
        let following = Arc::clone(&console);
        let reader = Some(std::thread::spawn(move || following.follow()));
        println!("[{label}] switched on");
        let keyboard = child.stdin.take().unwrap();
        Self { name: label, child, keyboard, answered: 0, console, reader, complaints, begun }
    }

    /// Waits until the console says `text`, and returns the line. Fails where the machine ends first.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_for_one(&[text]);
        self.console.find(text).unwrap()
    }

    /// Waits until the console says one of `texts`, and returns which. Fails where the machine ends first.
    pub fn wait_for_one(&mut self, texts: &[&str]) -> usize {
        let end = Instant::now() + PATIENCE;
        let wanted = texts.join("\" or \"");
        loop {
            let status = self.child.try_wait().unwrap();
            if let Some(index) = texts.iter().position(|text| self.has_said(text)) {
                return index;
            }
            if let Some(status) = status {
                panic!("{} ended ({status}) before it said \"{wanted}\": {}", self.name, self.complaints());
            }
            assert!(Instant::now() < end, "{} has not said \"{wanted}\" in {PATIENCE:?}", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The lines of the console with `text`, so far.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.console.lines.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Waits until the console asks for input with `prompt`, after what was typed before, and types
    /// `line`.
    pub fn answer(&mut self, prompt: &str, line: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read(&self.console.log).unwrap();
            let text = String::from_utf8_lossy(log.get(self.answered..).unwrap_or_default()).into_owned();
            if text.contains(prompt) {
                self.answered = log.len();
                return self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
            }
            self.assert_runs();
            assert!(Instant::now() < end, "{} does not ask {prompt:?}: {text}", self.name);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Whether the console has said `text` so far.
    pub fn has_said(&self, text: &str) -> bool {
        self.console.find(text).is_some()
    }

    /// Fails where the machine has ended.
    pub fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended ({status}): {}", self.name, self.complaints());
        }
    }

    /// Says what was reached, and when.
    pub fn note(&self, what: &str) {
        note(&self.name, self.begun, what);
    }

    /// Waits until the machine has switched itself off.
    pub fn wait_until_off(&mut self) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < end, "{} does not switch itself off", self.name),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        assert!(status.success(), "{}: {status}: {}", self.name, self.complaints());
        self.stop_reading();
    }

    /// Cuts the power: QEMU is killed with all that it has not written yet, and the guest learns nothing.
    pub fn cut(mut self) {
        let qemu = self.qemu();
        rustix::process::kill_process(qemu, rustix::process::Signal::KILL).unwrap();
        let status = self.child.wait().unwrap();
        self.stop_reading();
        self.note("the power is cut");
        let said = self.complaints();
        assert!(status.code() == Some(1) && said.contains("killed by signal 9"), "{status}: {said}");
    }

    /// QEMU's process: below the shell that pibake has around it.
    fn qemu(&self) -> rustix::process::Pid {
        let mut found = None;
        for entry in std::fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let parent = |path: &Path| {
                // `PID (NAME) STATE PARENT …`; processes come and go
                let stat = std::fs::read_to_string(path.join("stat")).ok()?;
                let (head, tail) = stat.rsplit_once(')')?;
                let parent = tail.split_ascii_whitespace().nth(1)?;
                Some((head.split_once('(')?.1.to_owned(), parent.to_owned()))
            };
            let Some((name, shell)) = parent(&path) else { continue };
            let Some((_, pibake)) = parent(&Path::new("/proc").join(shell)) else { continue };
            if name.starts_with("qemu-system") && pibake == self.child.id().to_string() {
                let pid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
                assert!(found.replace(pid).is_none(), "{} is two machines", self.name);
            }
        }
        rustix::process::Pid::from_raw(found.expect("QEMU is running")).unwrap()
    }

    /// Ends `pibake boot`, which ends QEMU without a word to the guest.
    fn end(&mut self) -> Option<ExitStatus> {
        use rustix::process::{Pid, Signal, kill_process};
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id()).ok()?)?;
        // it may have ended in between
        let _ = kill_process(pid, Signal::TERM);
        let status = self.child.wait().ok();
        self.stop_reading();
        status
    }

    fn stop_reading(&mut self) {
        self.console.ended.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    fn complaints(&self) -> String {
        std::fs::read_to_string(&self.complaints).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
        self.stop_reading();
        if std::thread::panicking() {
            let lines = self.console.lines.lock().map_or_else(|e| e.into_inner().clone(), |l| l.clone());
            let last: VecDeque<_> = lines.iter().rev().take(LAST_WORDS).rev().collect();
            eprintln!("--- the last {} lines of {}'s console", last.len(), self.name);
            last.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("--- what pibake said of it\n{}---", self.complaints());
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.console", self.name));
            if std::fs::copy(&self.console.log, &kept).is_ok() {
                eprintln!("the whole console is in {}", kept.display());
            }
        }
    }
}

impl Console {
    fn find(&self, text: &str) -> Option<String> {
        self.lines.lock().unwrap().iter().find(|line| line.contains(text)).cloned()
    }

    /// Reads the log until the machine has ended, and then what is left of it.
    fn follow(&self) {
        let mut passed = [false; MILESTONES.len()];
        let (mut at, mut line) = (0, Vec::new());
        loop {
            let was_ended = self.ended.load(Ordering::Relaxed);
            let mut bytes = Vec::new();
            let mut log = File::open(&self.log).unwrap();
            log.seek(SeekFrom::Start(at)).unwrap();
            at += log.read_to_end(&mut bytes).unwrap() as u64;
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    self.take(&pibake::emulator::watch::plain(&line), &mut passed);
                    line.clear();
                }
            }
            if was_ended {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn take(&self, line: &str, passed: &mut [bool]) {
        for ((text, what), passed) in MILESTONES.iter().zip(passed.iter_mut()) {
            if !*passed && line.contains(text) {
                *passed = true;
                note(&self.name, self.begun, what);
            }
        }
        // first boot says itself where it stands; what it repeats is of no interest
        if let Some(report) = line.find("pibake: ").and_then(|at| line.get(at..))
            && (!report.contains("working") && !report.contains("attempt"))
        {
            note(&self.name, self.begun, report);
        }
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

fn note(name: &str, begun: Instant, what: &str) {
    println!("[{name}] {:>6.1} s  {what}", begun.elapsed().as_secs_f64());
}
