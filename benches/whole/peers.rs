//! Other programs that write cards unattended. They are compiled once, into the benchmark's folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Run, try_shell};
use crate::report::Report;
use crate::work::Work;
use support::tool;

/// A program of crates.io.
struct Kind {
    name: &'static str,
    version: &'static str,
    /// Whether it reads back what it wrote.
    reads_back: bool,
    /// Writes `$2`, as it is or packed, to `$3`; `$1` is the program.
    script: &'static str,
    /// Libraries that it is linked with, by their names for pkg-config, and their Debian packages.
    needs: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "caligula",
        version: "0.5.0",
        reads_back: true,
        script: "\"$1\" burn \"$2\" -o \"$3\" -z auto -s none --interactive never --force --root never",
        needs: &[],
    },
    Kind {
        name: "coreos-installer",
        version: "0.27.0",
        reads_back: false,
        script: "\"$1\" install --offline --insecure --image-file \"$2\" \"$3\"",
        needs: &[("openssl", "libssl-dev"), ("libzstd", "libzstd-dev")],
    },
];

/// One of them, compiled.
pub struct Peer {
    kind: &'static Kind,
    program: PathBuf,
}

impl Peer {
    /// All that can be compiled here and write `image` to `device`; `report` tells of the others.
    pub fn able(work: &Work, dir: &Path, image: &Path, device: &Path, report: &mut Report) -> Vec<Self> {
        let mut able = Self::all(work, report);
        able.retain(|peer| peer.is_able(dir, image, device, report));
        able
    }

    fn all(work: &Work, report: &mut Report) -> Vec<Self> {
        let mut all = Vec::new();
        for kind in &KINDS {
            match kind.program(work) {
                Ok(program) => all.push(Self { kind, program }),
                Err(why) => report.skip(&format!("cards beside {} {}", kind.name, kind.version), why.trim()),
            }
        }
        all
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.kind.name, self.kind.version)
    }

    pub fn reads_back(&self) -> bool {
        self.kind.reads_back
    }

    /// Writes `image` to `device`.
    pub fn write(&self, dir: &Path, image: &Path, device: &Path) -> Run {
        self.try_write(dir, image, device).unwrap_or_else(|said| panic!("{said}"))
    }

    fn try_write(&self, dir: &Path, image: &Path, device: &Path) -> Result<Run, String> {
        let script = format!("export RUST_BACKTRACE=0; {}", self.kind.script);
        try_shell(dir, &script, &[&self.program, image, device])
    }

    /// Whether it does so unattended, and right; `report` tells what it said if not.
    fn is_able(&self, dir: &Path, image: &Path, device: &Path, report: &mut Report) -> bool {
        let compare = "cmp -n \"$(stat -c %s \"$1\")\" \"$1\" \"$2\"";
        let tried =
            self.try_write(dir, image, device).and_then(|_| try_shell(dir, compare, &[image, device]));
        let words = |said: &str| {
            let error = said.lines().find_map(|line| line.strip_prefix("Error: "));
            error.unwrap_or(said).trim().to_owned()
        };
        let skip = |said: String| report.skip(&format!("cards beside {}", self.name()), &words(&said));
        tried.map_err(skip).is_ok()
    }
}

impl Kind {
    fn program(&self, work: &Work) -> Result<PathBuf, String> {
        let tools = work.dir().join("tools");
        let program = tools.join("bin").join(self.name);
        let version = format!("{} {}", self.name, self.version);
        let there = || {
            let said = Command::new(&program).arg("--version").output();
            said.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).trim() == version)
        };
        if there() {
            return Ok(program);
        }
        for (library, package) in self.needs {
            if !tool("pkg-config", "pkg-config")
                .arg("--exists")
                .arg(library)
                .status()
                .is_ok_and(|s| s.success())
            {
                return Err(format!("it cannot be compiled without the Debian package {package}"));
            }
        }
        eprintln!("compiling {version} into {}, once", tools.display());
        let target = tools.join("target");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // nicely, as a user compiles: with the optimizations that its authors chose
        let out = Command::new("nice")
            .arg(cargo)
            .args(["install", "--quiet", "--locked", "--root"])
            .arg(&tools)
            .arg(format!("{}@{}", self.name, self.version))
            .env("CARGO_TARGET_DIR", &target)
            .current_dir("/")
            .output()
            .map_err(|e| format!("cargo install: {e}"))?;
        if !out.status.success() || !there() {
            return Err(format!(
                "cargo install {version}: {}\n{}",
                out.status,
                String::from_utf8_lossy(&out.stderr)
            ));
        }
        // where it failed it is of use the next time
        std::fs::remove_dir_all(&target).unwrap_or_else(|e| panic!("{}: {e}", target.display()));
        Ok(program)
    }
}
