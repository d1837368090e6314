//! Whole processes, timed, with their peak memory.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The argument that makes this program the stopwatch of another one. What a process took, with
/// all its children, is told to its parent alone and as a sum over all that it waited for: so each
/// run gets a parent of its own.
pub const MEASURE: &str = "--measure";

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Run {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, in the program and in the kernel for it.
    pub cpu: f64,
    /// The most memory that any one process of it had resident, in bytes.
    pub peak: u64,
}

impl Run {
    /// The one that took longer.
    pub fn longer(self, other: Self) -> Self {
        if other.wall > self.wall { other } else { self }
    }
}

/// The stopwatch that runs now.
static WATCH: Mutex<Option<OwnedFd>> = Mutex::new(None);
/// Somebody wants the benchmark to end.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Has signals end the program that is measured, and then the benchmark, by way of a panic: so
/// everything is put away that was made for it.
pub fn end_on_signals() {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).expect("handlers of signals");
    std::thread::spawn(move || {
        for _ in signals.forever() {
            STOPPED.store(true, Ordering::SeqCst);
            if let Some(watch) = &*WATCH.lock().expect("no panic with the lock") {
                let _ = pidfd_send_signal(watch, Signal::TERM);
            }
        }
    });
}

/// Panics if somebody wants the benchmark to end.
pub fn go_on() {
    assert!(!STOPPED.load(Ordering::SeqCst), "ended by a signal");
}

/// Runs `program` as `sh -c` would, in `dir`; panics with what it said if it fails.
pub fn run(dir: &Path, program: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Run {
    try_run(dir, program, arguments, environment).unwrap_or_else(|said| panic!("{said}"))
}

/// Runs `program` as [`run`] does, or tells how it failed.
pub fn try_run(
    dir: &Path,
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &Path)],
) -> Result<Run, String> {
    go_on();
    let me = std::env::current_exe().expect("the path of this program");
    let watch = Command::new(me)
        .arg(MEASURE)
        .arg(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let handle = pidfd_open(Pid::from_child(&watch), PidfdFlags::empty()).expect("a handle of a child");
    *WATCH.lock().expect("no panic with the lock") = Some(handle);
    // who wanted the end before the handle was there
    if STOPPED.load(Ordering::SeqCst) {
        let _ = rustix::process::kill_process(Pid::from_child(&watch), Signal::TERM);
    }
    let out = watch.wait_with_output();
    *WATCH.lock().expect("no panic with the lock") = None;
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    go_on();
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        return Err(format!("{program} {arguments:?}: {}\n{said}", out.status));
    }
    Ok(serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{program}: {e}\n{said}")))
}

/// A script of a shell, with its arguments from `$1` on.
pub fn shell(dir: &Path, script: &str, arguments: &[&Path]) -> Run {
    try_shell(dir, script, arguments).unwrap_or_else(|said| panic!("{said}"))
}

/// The same, or how it failed.
pub fn try_shell(dir: &Path, script: &str, arguments: &[&Path]) -> Result<Run, String> {
    let mut all = vec!["-ec", script, "sh"];
    all.extend(arguments.iter().map(|path| path.to_str().expect("a path in UTF-8")));
    try_run(dir, "/bin/sh", &all, &[])
}

/// The stopwatch: runs what `arguments` say and prints a [`Run`]. The program and all its children
/// end with the stopwatch, and the stopwatch with the benchmark, however that ends.
pub fn measure(arguments: &[String]) -> ExitCode {
    let (program, rest) = arguments.split_first().expect("a program");
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).expect("handlers of signals");
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).expect("prctl");
    let began = Instant::now();
    // Only the measure goes to stdout.
    let child = Command::new(program).args(rest).stdout(Stdio::null()).process_group(0).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) => {
            eprintln!("{program}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let group = Pid::from_child(&child);
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    });
    let status = child.wait();
    let wall = began.elapsed().as_secs_f64();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            eprintln!("{program}: {status}");
            return ExitCode::FAILURE;
        }
        Err(e) => {
            eprintln!("{program}: {e}");
            return ExitCode::FAILURE;
        }
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6;
    // getrusage(2): in kilobytes
    let peak = usage.max_rss() as u64 * 1024;
    println!("{}", serde_json::to_string(&Run { wall, cpu, peak }).expect("JSON"));
    ExitCode::SUCCESS
}
