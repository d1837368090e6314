//! How a run ends because somebody wants it to, and what is typed meanwhile.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use pibake::emulator::machine::{Accelerator, Files, Machine, Setup};
use pibake::emulator::qemu::Qemu;
use pibake::emulator::session::{self, Ending, Viewer};
use pibake::io::CancelToken;
use predicates::prelude::*;
use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::lab::{Lab, PATIENCE, is_running, wait_until};
use support::{run, tool};

#[test]
fn what_is_typed_reaches_the_machine() {
    let lab = Lab::new();
    let image = lab.image("a");
    let mut command = lab.boot("echo");
    command.arg(&image).args(["--until", "typed root", "--timeout", PATIENCE]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"root").unwrap();
    assert!(child.wait().unwrap().success());
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

#[test]
fn a_run_that_is_interrupted_before_the_line_was_seen_has_failed() {
    use std::os::unix::process::CommandExt;
    let lab = Lab::new();
    let (a, b) = (lab.image("one"), lab.image("two"));
    let never = || {
        let mut command = lab.boot("login");
        command.args(["--until", "never said"]).arg(&a);
        command
    };
    let says = || contains("interrupted after").and(contains("\"never said\": one"));

    let (child, emulator) = lab.started(&mut never(), "login:");
    kill_process(pid(&child), Signal::TERM).unwrap();
    child.wait_with_output().unwrap().assert().code(1).stderr(says());
    assert!(!is_running(&emulator), "QEMU is still there");

    // Ctrl-C on a terminal reaches all of the programs that were started from there
    let (child, emulator) = lab.started(never().process_group(0), "login:");
    kill_process_group(pid(&child), Signal::INT).unwrap();
    child.wait_with_output().unwrap().assert().code(1).stderr(says());
    wait_until(|| !is_running(&emulator));

    let mut command = lab.boot("login");
    command.args(["--until", "never said"]).args([&a, &b]).arg("--log").arg(lab.path("log"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = |log: &str| std::fs::read_to_string(lab.path(log)).is_ok_and(|text| text.contains("login:"));
    wait_until(|| said("log.one") && said("log.two"));
    kill_process(pid(&child), Signal::TERM).unwrap();
    child.wait_with_output().unwrap().assert().code(1).stderr(contains(": one, two"));
}

#[test]
fn a_run_that_waits_for_nothing_is_left_in_peace() {
    let lab = Lab::new();
    let image = lab.image("a");
    let (child, emulator) = lab.started(lab.boot("login").arg(&image), "login:");
    kill_process(pid(&child), Signal::TERM).unwrap();
    child.wait_with_output().unwrap().assert().success().stderr(contains("interrupted").not());
    assert!(!is_running(&emulator), "QEMU is still there");

    let (child, _) = lab.started(lab.boot("login").arg(&image).arg("--json"), "login:");
    kill_process(pid(&child), Signal::TERM).unwrap();
    let out = child.wait_with_output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), &value["end"]), (Some(0), &"left".into()));
}

/// Runs `command` on a terminal, types Ctrl-A X once the console has said `text`, and returns how it
/// ended with all that was shown.
fn on_a_terminal(command: &Command, text: &str) -> (Option<i32>, String) {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = tool("script", "bsdutils");
    script.args(["--quiet", "--return", "--command", &quoted.join(" "), "/dev/null"]);
    script.current_dir(command.get_current_dir().unwrap());
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut buffer = [0; 1024];
    let mut typed = false;
    while let Ok(n @ 1..) = screen.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..n]);
        if !typed && String::from_utf8_lossy(&shown).contains(text) {
            keyboard.write_all(b"\x01x").unwrap();
            typed = true;
        }
    }
    (child.wait().unwrap().code(), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn a_person_at_the_terminal_may_stay_in_an_emergency_shell_and_leave() {
    let lab = Lab::new();
    let image = lab.image("a");
    let boot = |fake, more: &[&str]| {
        let mut command = lab.boot(fake);
        command.arg(&image).args(more);
        command
    };
    let (code, shown) = on_a_terminal(&boot("emergency", &[]), "emergency mode");
    assert!(code == Some(0) && !shown.contains("cannot go on"), "{code:?} {shown}");
    // where a line is waited for, nobody is meant to repair anything
    let (code, shown) = on_a_terminal(&boot("emergency", &["--until", "login:"]), "never said");
    assert!(code == Some(1) && shown.contains("cannot go on: You are in emergency mode"), "{code:?} {shown}");
    // nothing but a panic ends it for a person either
    let (code, shown) = on_a_terminal(&boot("panic", &[]), "never said");
    assert!(code == Some(1) && shown.contains("cannot go on: [    1.0] Kernel panic"), "{code:?} {shown}");
    let (code, shown) = on_a_terminal(&boot("login", &["--until", "never said"]), "login:");
    assert!(code == Some(1) && shown.contains("interrupted after"), "{code:?} {shown}");
}

#[test]
fn no_emulator_outlives_the_program() {
    let lab = Lab::new();
    let image = lab.image("a");
    let (mut child, emulator) = lab.started(lab.boot("login").arg(&image), "login:");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    wait_until(|| !is_running(&emulator));
    // and what it left is removed by the next run
    lab.boot("off").arg(&image).assert().success();
    assert_eq!(std::fs::read_dir(lab.path("cache/pibake/boot")).unwrap().count(), 0);
}

/// A keyboard that cannot be had.
struct NoKeyboard;

impl Viewer for NoKeyboard {
    fn show(&mut self, _machine: usize, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn started(&mut self, _machine: usize, _console: Arc<UnixStream>) -> io::Result<()> {
        Err(io::Error::other("no more threads"))
    }
}

#[test]
fn a_console_on_which_nothing_can_be_typed_ends_the_run() {
    let lab = Lab::new();
    let image = lab.image("a");
    // a first run leaves all that a machine needs
    let mut command = lab.boot("login");
    command.arg(&image).args(["--keep", "kept", "--until", "login:", "--timeout", PATIENCE]);
    command.assert().success();
    let file = |name: &str| lab.path("kept/a").join(name);
    let setup = Setup {
        machine: Machine::Virt,
        files: Files {
            kernel: file("kernel"),
            initrd: None,
            device_tree: None,
            card: file("card.qcow2"),
            console: lab.path("console"),
        },
        cmdline: String::new(),
        adapters: Vec::new(),
        throw_away: false,
        processors: 1,
        accelerator: Accelerator::Tcg,
    };
    let qemu = Qemu::find(command.get_args().nth(2).unwrap()).unwrap();
    let timeout = Some(Duration::from_secs(PATIENCE.parse().unwrap()));
    let ending = Ending { timeout, ..Ending::default() };
    let error =
        session::run(&qemu, &[("a".into(), setup)], &ending, &mut NoKeyboard, &CancelToken::default())
            .unwrap_err();
    assert_eq!(error.to_string(), "typing on the console of a");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no more threads");
}

#[test]
fn a_base_that_changes_while_cards_are_prepared_is_noticed() {
    let lab = Lab::new();
    let image = lab.image("base");
    let text = "[base]\nimage = \"./base.img\"\nplatform = \"20.04\"\n";
    std::fs::write(lab.path("pibake.toml"), text).unwrap();
    // the second machine's kernel waits for a reader: all nodes are baked by then, and QEMU is not started yet
    let (keep, emulator) = (lab.path("keep"), lab.path("pid"));
    let gate = keep.join("node-2/kernel");
    std::fs::create_dir_all(gate.parent().unwrap()).unwrap();
    run(tool("mkfifo", "coreutils").arg(&gate));
    let mut command = lab.boot("login");
    command
        .args(["--node", "1", "--node", "2", "--until", "login:", "--timeout", PATIENCE, "--keep"])
        .arg(&keep);
    command.env("FAKE_PID", &emulator).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let card = keep.join("node-1/card.qcow2");
    while !card.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended: {}", errors(child));
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut base = std::fs::OpenOptions::new().append(true).open(&image).unwrap();
    base.write_all(b"more").unwrap();
    assert!(!std::fs::read(&gate).unwrap().is_empty());
    let code = child.wait().unwrap().code();
    let said = errors(child);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("base.img changed while it was used"), "{said}");
    assert!(!emulator.exists(), "QEMU was started");
}

fn errors(mut child: std::process::Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}
