//! Whole processes, timed, with their peak memory.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

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

/// Runs `program` as `sh -c` would, in `dir`; panics with what it said if it fails.
pub fn run(dir: &Path, program: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Run {
    let me = std::env::current_exe().expect("the path of this program");
    let out = Command::new(me)
        .arg(MEASURE)
        .arg(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {arguments:?}: {}\n{said}", out.status);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{program}: {e}\n{said}"))
}

/// The stopwatch: runs what `arguments` say and prints a [`Run`].
pub fn measure(arguments: &[String]) -> ExitCode {
    let (program, rest) = arguments.split_first().expect("a program");
    let began = Instant::now();
    // Only the measure goes to stdout.
    let status = Command::new(program).args(rest).stdout(Stdio::null()).status();
    let wall = began.elapsed().as_secs_f64();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => return ExitCode::FAILURE,
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
