//! Images to boot, and a program in QEMU's place.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pibake::emulator::fdt::DeviceTree;

use support::images::{self, Spec};
use support::{put_program, run, tool, tool_path};

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
elif fake == 'killed':
    os.kill(os.getpid(), 9)
elif fake == 'echo':
    while (typed := console.recv(100)):
        console.sendall(b'typed ' + typed + b'\r\n')
time.sleep(600)
"#;

/// How long a run that should come to an end by itself may take, in seconds: for slow machines.
pub const PATIENCE: &str = "600";

pub struct Lab {
    pub dir: tempfile::TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(lab.path("fake.py"), FAKE_QEMU).unwrap();
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An image of a node with this name and boot files of the right kinds.
    pub fn image(&self, name: &str) -> PathBuf {
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

    /// Moves what is loaded to where Ubuntu 26.04 has it.
    pub fn as_resolute(&self, image: &Path) {
        let place = format!("{}@@1M", image.display());
        run(tool("mmd", "mtools").args(["-i", &place, "::current"]));
        for name in ["vmlinuz", "initrd.img", "bcm2711-rpi-4-b.dtb", "cmdline.txt"] {
            run(tool("mmove", "mtools").args(["-i", &place, &format!("::{name}"), "::current/"]));
        }
        self.put_bytes(image, b"[all]\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n", "config.txt");
    }

    /// Takes a file out of the boot partition.
    pub fn delete(&self, image: &Path, name: &str) {
        let image = format!("{}@@1M", image.display());
        run(tool("mdel", "mtools").args(["-i", &image]).arg(format!("::{name}")));
    }

    pub fn put_bytes(&self, image: &Path, bytes: &[u8], name: &str) {
        let file = self.path("file");
        std::fs::write(&file, bytes).unwrap();
        self.put(image, &file, name);
    }

    pub fn put(&self, image: &Path, file: &Path, name: &str) {
        let image = format!("{}@@1M", image.display());
        run(tool("mcopy", "mtools").args(["-o", "-i", &image]).arg(file).arg(format!("::{name}")));
    }

    pub fn boot(&self, fake: &str) -> Command {
        let script = self.path("qemu");
        if !script.exists() {
            let python = tool_path("python3", "python3");
            let text =
                format!("#!/bin/sh\nexec {} {} \"$@\"\n", python.display(), self.path("fake.py").display());
            put_program(&script, text);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).env("XDG_CACHE_HOME", self.path("cache")).env("FAKE", fake);
        command.arg("boot").arg("--qemu").arg(script);
        command
    }

    /// A run with nobody at the keyboard, whose machine's console has said `text`; and the emulator's
    /// process.
    pub fn started(&self, command: &mut Command, text: &str) -> (Child, String) {
        let (pid, log) = (self.path("pid"), self.path("boot.log"));
        for old in [&pid, &log] {
            // of an earlier run
            let _ = std::fs::remove_file(old);
        }
        command.env("FAKE_PID", &pid).arg("--log").arg(&log);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        wait_until(|| std::fs::read_to_string(&log).is_ok_and(|said| said.contains(text)));
        (child.unwrap(), std::fs::read_to_string(&pid).unwrap())
    }
}

/// Waits until `what` holds.
pub fn wait_until(what: impl Fn() -> bool) {
    let patience: u64 = PATIENCE.parse().unwrap();
    let end = Instant::now() + Duration::from_secs(patience);
    while !what() {
        assert!(Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a process is there; `pid` is what it wrote itself.
pub fn is_running(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}
