//! `pibake boot` with a program in QEMU's place that does what machines do, and what they do wrong.
//! Real machines are in `tests/boot`.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::assert::OutputAssertExt;
use pibake::emulator::fdt::DeviceTree;
use predicates::prelude::*;
use predicates::str::contains;
use support::images::{self, Spec};
use support::{run, tool, tool_path};

/// Speaks QEMU's command line, connects to the console and does what `FAKE` says.
const FAKE_QEMU: &str = r#"
import os, socket, sys, time
if '--version' in sys.argv:
    print(os.environ.get('FAKE_VERSION', 'QEMU emulator version 10.0.2 (fake)')); sys.exit()
fake = os.environ.get('FAKE', 'login')
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
if 'FAKE_PID' in os.environ:
    open(os.environ['FAKE_PID'], 'w').write(str(os.getpid()))
for name in ('-kernel', '-initrd', '-dtb'):
    if name in arguments:
        assert os.path.getsize(value(name)) > 0, name
assert open(value('-kernel'), 'rb').read()[56:60] == b'ARM\x64'
card = value('-drive').split('file=')[1]
assert open(card, 'rb').read(4) == b'QFI\xfb'
if fake == 'dies':
    print('qemu: could not do it', file=sys.stderr); sys.exit(1)
console = socket.socket(socket.AF_UNIX)
console.connect(value('-chardev').split('path=')[1].replace(',,', ','))
say = lambda text: console.sendall(text.encode())
say('[    0.000000] Booting Linux\r\n')
if fake == 'login':
    say('\x1b[0;32mnode\x1b[0m login: ')
elif fake == 'panic':
    say('[    1.0] Kernel panic - not syncing: VFS\r\n[    1.1] the last words\r\n')
elif fake == 'emergency':
    say('You are in emergency mode. After logging in\r\n')
elif fake == 'off':
    say('[    9.0] reboot: Power down\r\n'); sys.exit(0)
elif fake == 'crash':
    print('qemu: fatal: crashed', file=sys.stderr); sys.exit(3)
elif fake == 'echo':
    while (typed := console.recv(100)):
        console.sendall(b'typed ' + typed + b'\r\n')
time.sleep(600)
"#;

struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(lab.path("fake.py"), FAKE_QEMU).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An image of a node with this name and boot files of the right kinds.
    fn image(&self, name: &str) -> PathBuf {
        let dir = self.path(&format!("{name} parts"));
        std::fs::create_dir(&dir).unwrap();
        let root = dir.join("root");
        images::put(&root.join("etc/hostname"), &format!("{name}\n"));
        let (image, _) = Spec::default().make_from(&dir, &root);
        let mut kernel = vec![0x5a; 100_000];
        kernel[56..60].copy_from_slice(b"ARM\x64");
        std::fs::write(dir.join("kernel"), &kernel).unwrap();
        run(tool("gzip", "gzip").arg("-n").arg(dir.join("kernel")));
        self.put(&image, &dir.join("kernel.gz"), "vmlinuz");
        self.put_bytes(&image, b"an initrd", "initrd.img");
        let mut tree = DeviceTree::empty();
        tree.root.set_string("compatible", "raspberrypi,4-model-b");
        self.put_bytes(&image, &tree.to_bytes(), "bcm2711-rpi-4-b.dtb");
        let place = self.path(&format!("{name}.img"));
        std::fs::rename(image, &place).unwrap();
        place
    }

    fn put_bytes(&self, image: &Path, bytes: &[u8], name: &str) {
        let file = self.path("file");
        std::fs::write(&file, bytes).unwrap();
        self.put(image, &file, name);
    }

    fn put(&self, image: &Path, file: &Path, name: &str) {
        let image = format!("{}@@1M", image.display());
        run(tool("mcopy", "mtools").args(["-o", "-i", &image]).arg(file).arg(format!("::{name}")));
    }

    fn boot(&self, fake: &str) -> Command {
        let script = self.path("qemu");
        if !script.exists() {
            let python = tool_path("python3", "python3");
            let text =
                format!("#!/bin/sh\nexec {} {} \"$@\"\n", python.display(), self.path("fake.py").display());
            // by another process: one that this process has open for writing may be busy when it is run
            let mut install = Command::new("install");
            install.args(["-m", "755", "/dev/stdin"]).arg(&script).stdin(Stdio::piped());
            let mut child = install.spawn().unwrap();
            child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            assert!(child.wait().unwrap().success());
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).env("XDG_CACHE_HOME", self.path("cache")).env("FAKE", fake);
        command.arg("boot").arg("--qemu").arg(script);
        command
    }
}

#[test]
fn it_ends_well_when_the_console_says_what_is_waited_for() {
    let lab = Lab::new();
    let image = lab.image("a");
    let before = std::fs::read(&image).unwrap();
    lab.boot("login")
        .arg(&image)
        .args(["--until", "^node login:$", "--timeout", "60", "--log", "boot.log"])
        .assert()
        .success()
        .stdout(contains("Booting Linux"))
        .stderr(contains("node login:"));
    let log = std::fs::read_to_string(lab.path("boot.log")).unwrap();
    assert!(log.contains("Booting Linux") && log.contains("login: "), "{log}");
    assert!(std::fs::read(&image).unwrap() == before, "the image was changed");
    let left: Vec<_> = std::fs::read_dir(lab.path("cache/pibake/boot")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the lock is left: {left:?}");
}

#[test]
fn a_machine_that_cannot_go_on_ends_the_run_at_once() {
    let lab = Lab::new();
    let image = lab.image("a");
    let begun = Instant::now();
    for (fake, says) in [
        ("panic", "Kernel panic - not syncing: VFS"),
        ("emergency", "You are in emergency mode"),
        ("dies", "could not do it"),
        ("crash", "fatal: crashed"),
    ] {
        let mut command = lab.boot(fake);
        command.arg(&image).args(["--until", "login:", "--timeout", "300"]);
        let ended = command.assert().code(1).stderr(contains(says));
        if fake == "panic" {
            ended.stdout(contains("the last words"));
        }
    }
    lab.boot("off")
        .arg(&image)
        .args(["--until", "login:"])
        .assert()
        .code(1)
        .stderr(contains("switched off").and(contains("login:")));
    assert!(begun.elapsed() < Duration::from_secs(100), "a machine that was stuck was waited for");
}

#[test]
fn a_machine_that_is_switched_off_ends_the_run_well() {
    let lab = Lab::new();
    let image = lab.image("a");
    lab.boot("off").arg(&image).assert().success().stdout(contains("Power down"));
    let out = lab.boot("off").arg(&image).arg("--json").assert().success();
    let value: serde_json::Value = serde_json::from_slice(&out.get_output().stdout).unwrap();
    assert_eq!(value["end"], "off");
}

#[test]
fn too_slow_is_said_with_what_was_waited_for() {
    let lab = Lab::new();
    let image = lab.image("a");
    lab.boot("login")
        .arg(&image)
        .args(["--until", "never said", "--timeout", "2"])
        .assert()
        .code(1)
        .stderr(contains("never said").and(contains("after 2 s")));
}

#[test]
fn what_is_typed_reaches_the_machine() {
    let lab = Lab::new();
    let image = lab.image("a");
    let mut command = lab.boot("echo");
    command.arg(&image).args(["--until", "typed root", "--timeout", "60"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"root").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn several_machines_have_names_before_their_lines_and_logs_of_their_own() {
    let lab = Lab::new();
    let (a, b) = (lab.image("one"), lab.image("two"));
    lab.boot("login")
        .args([&a, &b])
        .args(["--until", "login:", "--timeout", "60", "--log", "boot.log"])
        .assert()
        .success()
        .stdout(contains("one | [    0.000000] Booting Linux").and(contains("two | node login:")));
    for name in ["boot.one.log", "boot.two.log"] {
        assert!(std::fs::read_to_string(lab.path(name)).unwrap().contains("Booting"), "{name}");
    }
    lab.boot("login").args([&a, &a]).assert().code(2).stderr(contains("one is given twice"));
    lab.boot("login").args([&a, &b]).args(["--ssh", "2222"]).assert().code(2).stderr(contains("--uplink"));
}

#[test]
fn cards_are_kept_and_gone_on_with_and_never_over_something_else() {
    let lab = Lab::new();
    let image = lab.image("a");
    let boot = || {
        let mut command = lab.boot("login");
        command.arg(&image).args(["--until", "login:", "--timeout", "60", "--keep", "kept"]);
        command
    };
    boot().assert().success();
    let card = lab.path("kept/a/card.qcow2");
    let mark = std::fs::metadata(&card).unwrap().modified().unwrap();
    boot().assert().success();
    assert_eq!(std::fs::metadata(&card).unwrap().modified().unwrap(), mark, "the card was made anew");
    lab.put_bytes(&image, b"another initrd", "initrd.img");
    boot().assert().code(1).stderr(contains("was begun over something else").and(contains("remove")));
}

#[test]
fn no_emulator_outlives_the_program() {
    let lab = Lab::new();
    let image = lab.image("a");
    let pid_file = lab.path("pid");
    let mut child = lab
        .boot("login")
        .arg(&image)
        .env("FAKE_PID", &pid_file)
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let wait = |what: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(30);
        while !what() {
            assert!(Instant::now() < end, "waited in vain");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait(&|| std::fs::read_to_string(&pid_file).is_ok_and(|text| !text.is_empty()));
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    wait(&|| !Path::new(&format!("/proc/{pid}")).exists());
    // and what it left is removed by the next run
    lab.boot("off").arg(&image).assert().success();
    assert_eq!(std::fs::read_dir(lab.path("cache/pibake/boot")).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_booted_is_said_before_anything_is_started() {
    let lab = Lab::new();
    let image = lab.image("a");
    let fails = |image: &Path, says: &str| {
        lab.boot("login").arg(image).assert().code(1).stderr(contains(says));
    };
    lab.put_bytes(&image, b"not one", "bcm2711-rpi-4-b.dtb");
    fails(&image, "bcm2711-rpi-4-b.dtb cannot be used");
    let mut tree = DeviceTree::empty();
    tree.root.set_string("compatible", "raspberrypi,3-model-b");
    lab.put_bytes(&image, &tree.to_bytes(), "bcm2711-rpi-4-b.dtb");
    fails(&image, "raspberrypi,3-model-b");
    lab.put_bytes(&image, b"a placeholder", "vmlinuz");
    fails(&image, "not made to boot");
    let (bare, _) = Spec::default().make(&{
        let dir = lab.path("bare");
        std::fs::create_dir(&dir).unwrap();
        dir
    });
    let delete = format!("{}@@1M", bare.display());
    let _ = tool("mdel", "mtools").args(["-i", &delete, "::vmlinuz"]).output();
    fails(&bare, "vmlinuz");
    fails(Path::new("none.img"), "none.img");
    let sample = || {
        let mut command = lab.boot("login");
        command.args(["--base", "sample", "--node", "1"]);
        command
    };
    sample().assert().code(1).stderr(contains("not made to boot"));
}

#[test]
fn an_emulator_that_is_missing_old_or_none_is_said_with_where_to_get_one() {
    let lab = Lab::new();
    let image = lab.image("a");
    let boot = |version: &str| {
        let mut command = lab.boot("login");
        command.arg(&image).env("FAKE_VERSION", version);
        command
    };
    boot("QEMU emulator version 8.2.2")
        .assert()
        .code(1)
        .stderr(contains("9.0").and(contains("qemu-system-arm")));
    boot("hello").assert().code(1).stderr(contains("is not QEMU"));
    Command::new(env!("CARGO_BIN_EXE_pibake"))
        .args(["boot", "--qemu", "/none/qemu"])
        .arg(&image)
        .assert()
        .code(1)
        .stderr(contains("/none/qemu is not there").and(contains("qemu-system-arm")));
}

#[test]
fn the_command_line_is_shown_without_an_emulator_and_without_writing() {
    let lab = Lab::new();
    let image = lab.image("a");
    Command::new(env!("CARGO_BIN_EXE_pibake"))
        .current_dir(lab.dir.path())
        .env("XDG_CACHE_HOME", lab.path("cache"))
        .args(["boot", "--print", "--keep", "kept", "--qemu", "/none/qemu", "a.img"])
        .assert()
        .success()
        .stdout(contains("/none/qemu -M raspi4b").and(contains("console=ttyAMA0,115200")));
    assert!(!lab.path("kept/a").exists());
    assert!(image.exists());
}
