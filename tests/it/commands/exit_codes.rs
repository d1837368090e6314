//! What scripts rely on: which command line ends with which exit code, as `pibake --help` promises.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with a description, its secrets and what mistakes are made with.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        let (code, said) = desk.run(&["init"]);
        assert_eq!(code, 0, "{said}");
        let (code, said) = desk.run(&["build", "--base", "sample", "--node", "1"]);
        assert_eq!(code, 0, "{said}");
        fs::write(desk.at("afile"), "some text, not an image\n".repeat(1000)).unwrap();
        fs::write(desk.at("bad.toml"), "nodes = \"many\"\n").unwrap();
        fs::create_dir(desk.at("base")).unwrap();
        fs::copy(desk.at("images/node-1.img"), desk.at("plain.img")).unwrap();
        desk
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.dir.path()).env("XDG_CACHE_HOME", self.at("cache")).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
    }
}

/// An address of this machine at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/x.img.xz", listener.local_addr().unwrap())
}

/// The codes that `pibake --help` names.
fn promised(desk: &Desk) -> BTreeSet<i32> {
    let help = String::from_utf8(desk.command(&["--help"]).output().unwrap().stdout).unwrap();
    let (_, codes) = help.split_once("Exit codes: ").unwrap();
    codes.split(';').map(|code| code.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn every_code_that_the_help_promises_is_kept() {
    let desk = Desk::new();
    let (nobody, zeros) = (nobody(), "0".repeat(64));
    let build = |more: &[&'static str]| [&["build", "--base", "sample", "--node", "1"], more].concat();
    let rows: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["plan"], 0, ""),
        (build(&[]), 0, ""),
        (vec!["completions", "bash"], 0, ""),
        // the command line
        (vec!["plan", "--no-such-flag"], 2, "unexpected argument"),
        (build(&["-o", "afile"]), 2, "afile is not a folder"),
        (build(&["-o", "afile/below"]), 2, "is not a folder"),
        (vec!["build", "--base", "./nope.img"], 2, "No such file"),
        (vec!["build", "--base", "./afile/nope.img"], 2, "Not a directory"),
        (vec!["build", "--base", "./afile"], 3, "neither a disk image"),
        (vec!["build", "--base", "/etc"], 2, "is a folder"),
        (vec!["build", "--base", "samlpe"], 2, "did you mean sample"),
        (vec!["build", "--base", "ftp://127.0.0.1/x.img"], 2, "ftp address"),
        (vec!["build", "--base", "sample", "--sha256", "zz"], 2, "not a SHA-256"),
        (vec!["build", "--base", "sample", "--sha256", &zeros], 2, "does not go with"),
        (vec!["build", "--base", "sample", "--node", "99"], 2, "there is no node 99"),
        (vec!["plan", "--base", "sample", "--node", "1", "/etc/nothere"], 2, "nothing changes at"),
        (vec!["plan", "--base", "sample", "--node", "1", "etc/hosts"], 2, "must start with"),
        (vec!["inspect", "images/node-1.img", "etc/hosts"], 2, "must start with"),
        (vec!["inspect", "images/node-1.img", "/etc/nothere"], 2, "/etc/nothere"),
        (vec!["inspect", "nope.img"], 2, "nope.img does not exist"),
        (vec!["inspect", "node-1"], 2, "did you mean images/node-1.img?"),
        (vec!["logs", "1"], 2, "did you mean images/node-1.img?"),
        (vec!["boot", "1", "--print"], 2, "did you mean images/node-1.img?"),
        (vec!["inspect", "images/node1.img"], 2, "did you mean images/node-1.img?"),
        (vec!["inspect", "afile"], 2, "no partition table"),
        (vec!["logs", "nope.img"], 2, "nope.img does not exist"),
        (vec!["logs", "/dev/nope"], 2, "pibake drives"),
        (vec!["logs", "images/node-1.img"], 1, "no log of a first boot"),
        (vec!["boot", "nope.img", "--print"], 2, "booting nope.img"),
        (vec!["flash", "/dev/null", "--image", "nope.img"], 2, "nope.img does not exist"),
        (vec!["flash", "/dev/nope=1"], 2, "/dev/nope does not exist"),
        (vec!["flash", "node-1"], 2, "/dev/sdX=node-1"),
        (vec!["flash", "/dev/null", "--image", "afile"], 2, "no partition table"),
        (vec!["token", "new", "1"], 2, "is the control plane"),
        // the description
        (vec!["plan", "-C", "nope.toml"], 2, "does not exist"),
        (vec!["plan", "-C", "bad.toml"], 2, "bad.toml:1:"),
        (vec!["plan", "--base", "fokal"], 2, "did you mean focal?"),
        (vec!["plan", "--base", "raspios"], 2, "not Ubuntu's"),
        (vec!["plan", "--node", "1-3"], 2, "--node 1 --node 2 --node 3"),
        (build(&["--jobs", "0"]), 2, "1 or more"),
        (build(&["--format", "vdi"]), 2, "possible values: raw, qcow2, zst, xz"),
        // a promise that is not kept
        (vec!["fetch", "./plain.img", "--sha256", &zeros], 3, "is not what it should be"),
        // what would put somebody's data in danger
        (vec!["init", "."], 4, "is there already and stays as it is"),
        (vec!["build", "--base", "./images/node-1.img", "--node", "1"], 4, ""),
        (build(&["--new-cluster"]), 4, "there is a cluster"),
        (vec!["flash", "/dev/null", "--base", "sample", "--node", "1"], 4, "is a character device"),
        // the network
        (vec!["fetch", &nobody, "--network-tries", "1", "--insecure-base"], 1, "refused"),
        (vec!["fetch", "20.04.5", "--offline"], 1, "not in the cache"),
        // the machine
        (vec!["boot", "plain.img", "--qemu", "./no-such-qemu"], 1, "was not found"),
    ];
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (arguments, wanted, word) in rows {
        let (code, said) = desk.run(&arguments);
        if code != wanted || !said.contains(word) {
            faults.push(format!("{}: {code} instead of {wanted} with {word:?}: {said}", arguments.join(" ")));
        }
        seen.insert(wanted);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(seen, promised(&desk));
}

#[test]
fn no_space_is_a_failure() {
    let desk = Desk::new();
    let mut plan = desk.command(&["plan"]);
    let output = plan.stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("writing to standard output") && said.contains("No space left"), "{said}");
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    fs::set_permissions(desk.at(".pibake/ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = desk.run(&["build", "--base", "sample", "--node", "1"]);
    assert!(code == 4 && said.contains("may be read or changed by others"), "{code} {said}");
}

#[test]
fn the_first_signal_is_a_failure_and_no_crash() {
    let desk = Desk::new();
    for (signal, lock) in
        [(rustix::process::Signal::INT, ".pibake.lock"), (rustix::process::Signal::TERM, ".pibake.lock")]
    {
        let code = interrupted(&desk, &desk.at(lock), signal);
        assert_eq!(code, Some(1), "{signal:?}");
    }
}

/// How a build ends that is told to end while it waits for `lock`.
fn interrupted(desk: &Desk, lock: &Path, signal: rustix::process::Signal) -> Option<i32> {
    let lock = File::create(lock).unwrap();
    lock.lock().unwrap();
    let mut build = desk.command(&["build", "--base", "sample", "--node", "2"]);
    let mut child = build.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting for it") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended and said: {said}");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let code = child.wait().unwrap().code();
    assert!(said.contains("error: cancelled"), "{said}");
    code
}
