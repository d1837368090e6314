//! What the tests and benches share: real programs as judges, servers with faults, images made by mkfs.
//!
//! It knows the program `pibake` and nothing of the crate, so that a change in `src/` does not compile it again.

#![allow(clippy::new_without_default)] // what is new here starts servers and makes folders

pub mod debian;
pub mod fetching;
pub mod gpg;
pub mod http;
pub mod images;
pub mod nginx;
pub mod noise;
pub mod pages;
pub mod pki;
pub mod plan;
pub mod registry;
pub mod spdx;
pub mod standin;
pub mod tokens;
#[cfg(target_os = "linux")]
pub mod udisks;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// For what runs `openssl`: some systems have all CAs that they trust in one file, and `openssl x509`, which reads it before all
/// else, takes eight times as long there. Debian, and so a node, has no such file.
pub const NO_TRUSTED_CAS: (&str, &str) = ("SSL_CERT_FILE", "/dev/null");

/// A command that runs the program in its arguments with another clock, `+8d` or `@2020-01-01 00:00:00`.
/// faketime ends with 1 where one of the same process number was killed and has left its shared memory
/// behind, so that is removed first: whoever had the number is gone.
pub fn with_clock(time: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"rm -f /dev/shm/*faketime_*_$$; exec "$@""#, "sh"]);
    command.arg(tool_path("faketime", "faketime")).args(["-f", time]);
    command
}

/// The program that is tested: cargo puts it above the folder of the test that asks.
pub fn pibake() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("pibake")
}

/// The name by which the harness knows the test `name` of `module`, a `module_path!()`.
pub fn test_name(module: &str, name: &str) -> String {
    let within = module.split_once("::").map_or("", |(_, within)| within);
    format!("{within}::{name}")
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

/// Hands each file below `folder` to `visit`.
pub fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// Writes a program of a test's own.
///
/// Another process does it: a file that this one has open for writing is held open by whatever another
/// test's thread forks just then, and cannot be executed ("text file busy").
pub fn put_program(path: &Path, text: impl AsRef<[u8]>) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = install.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_ref()).unwrap();
    assert!(child.wait().unwrap().success(), "{}", path.display());
}

/// A copy of a program in `dir`. Where AppArmor confines a program, it does so by its path, and
/// keeps it from files that a test made.
pub fn unconfined(program: &str, package: &str, dir: &Path) -> PathBuf {
    let copy = dir.join(program);
    // by another process, as in `put_program`
    run(Command::new("cp").arg(tool_path(program, package)).arg(&copy));
    copy
}
