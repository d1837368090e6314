//! What the integration tests share.
#![allow(dead_code)] // each test binary uses its own part

pub mod images;
pub mod writable;

use std::path::PathBuf;
use std::process::Command;

/// A program that a test uses as an oracle. A test that needs one that is missing fails and
/// names the package; it never passes.
pub fn tool(program: &str, package: &str) -> Command {
    Command::new(tool_path(program, package))
}

/// Where `program` is, looked for in PATH and in the system administrator's folders.
pub fn tool_path(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("this test needs `{program}`: install the Debian package {package} (`make test` does)")
        })
}

/// Runs `command` and returns what it printed on stdout; panics with all it said if it failed.
pub fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        out.status.success(),
        "{command:?}: {}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// A copy of a program in `dir`. Where AppArmor confines a program, it does so by its path, and
/// keeps it from files that a test made.
pub fn unconfined(program: &str, package: &str, dir: &std::path::Path) -> PathBuf {
    let copy = dir.join(program);
    // Copied by another process: a file that this one has open for writing is held open by
    // whatever another test's thread forks just then, and cannot be executed ("text file busy").
    run(Command::new("cp").arg(tool_path(program, package)).arg(&copy));
    copy
}
