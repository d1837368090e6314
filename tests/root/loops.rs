//! Loop devices as drives.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use support::{noise, run, tool};

const MIB: u64 = 1 << 20;

/// Something that `pibake flash` may be told to write to.
pub trait Drive {
    fn device(&self) -> &Path;

    fn size(&self) -> u64;

    /// What is on it, whatever a cache says.
    fn bytes(&self, at: u64, len: usize) -> Vec<u8>;

    fn name(&self) -> &str {
        self.device().to_str().unwrap()
    }

    /// The answer that `pibake flash` asks for: a loop device has no serial number.
    fn answer(&self) -> String {
        let size = self.size().to_string();
        format!("{}\n", &size[size.len() - 4..])
    }

    fn head(&self) -> Vec<u8> {
        self.bytes(0, MIB as usize)
    }

    /// Whether nothing is found on it, so that nothing boots.
    fn is_blank(&self) -> bool {
        self.head().iter().all(|b| *b == 0)
    }
}

/// A loop device, gone when dropped, and also when the tests are killed.
pub struct Attached {
    device: PathBuf,
    _held: File,
}

impl Attached {
    /// `options` are those of losetup(8).
    pub fn new(file: &Path, options: &[&str]) -> Self {
        let device = run(tool("losetup", "mount").args(["--find", "--show"]).args(options).arg(file));
        let device = PathBuf::from(device.trim());
        let held = File::open(&device).unwrap();
        // of one that is open the kernel notes it, and detaches it when nobody has it open any more
        run(tool("losetup", "mount").arg("--detach").arg(&device));
        Self { device, _held: held }
    }

    pub fn path(&self) -> &Path {
        &self.device
    }
}

/// A loop device over a plain file, detached when dropped.
pub struct Loop {
    device: Attached,
    pub file: PathBuf,
    size: u64,
}

impl Loop {
    pub fn new(dir: &Path, name: &str, size: u64, sector: u32) -> Self {
        Self::with(dir, name, size, &["--sector-size", &sector.to_string()])
    }

    /// `options` are those of losetup(8).
    pub fn with(dir: &Path, name: &str, size: u64, options: &[&str]) -> Self {
        let file = dir.join(name);
        let card = File::create(&file).unwrap();
        card.set_len(size).unwrap();
        // what was on the card before, everywhere: whatever is not written shows
        let before: Vec<u8> = noise::bytes(size, 1 << 20);
        for at in (0..size).step_by(1 << 20) {
            let n = (size - at).min(1 << 20) as usize;
            card.write_all_at(&before[..n], at).unwrap();
        }
        let device = Attached::new(&file, options);
        Self { device, file, size }
    }

    /// Somebody else writes to it.
    pub fn put(&self, at: u64, bytes: &[u8]) {
        let device = File::options().write(true).open(self.device.path()).unwrap();
        device.write_all_at(bytes, at).unwrap();
        device.sync_all().unwrap();
    }

    pub fn is_as_before(&self) -> bool {
        let before = noise::bytes(self.size, 1 << 20);
        (0..self.size).step_by(1 << 20).all(|at| {
            let n = (self.size - at).min(1 << 20) as usize;
            self.bytes(at, n) == before[..n]
        })
    }
}

impl Drive for Loop {
    fn device(&self) -> &Path {
        self.device.path()
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let device = File::open(self.device.path()).unwrap();
        rustix::fs::fadvise(&device, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut bytes = vec![0; len];
        device.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }
}
