//! A drive of the tests' own: a loop device over the one file of a FUSE file system, so that every
//! request that the kernel makes of it is answered, counted and noted here, and can be answered wrongly.

mod chip;
mod files;
mod loss;
mod notes;
mod pace;

use std::path::Path;
use std::sync::Arc;

use fuser::BackgroundSession;

pub use chip::{BEFORE, Chip, Faults};
pub use loss::Loss;
pub use notes::{Asked, Note};
pub use pace::Pace;

use crate::loops::{Attached, Drive};
use support::{run, tool};

/// A drive, gone when dropped.
pub struct Disk {
    chip: Arc<Chip>,
    device: Option<Attached>,
    session: Option<BackgroundSession>,
    at: tempfile::TempDir,
}

impl Disk {
    pub fn new(len: u64, faults: Faults) -> Self {
        let chip = Arc::new(Chip::new(len));
        let at = tempfile::tempdir().unwrap();
        let session = files::mount(&chip, at.path());
        // its requests are not to wait in a cache between the two
        let device = Attached::new(&at.path().join(files::NAME), &["--direct-io=on"]);
        // Each request of the kernel's is one here. The loop driver takes it for success when the
        // second half of a write fails, which no drive does.
        let name = device.path().file_name().unwrap();
        let queue = Path::new("/sys/block").join(name).join("queue/max_sectors_kb");
        std::fs::write(queue, (files::REQUEST / 1024).to_string()).unwrap();
        // what the kernel asked when the two were joined does not count
        chip.refit(faults);
        Self { chip, device: Some(device), session: Some(session), at }
    }

    pub fn chip(&self) -> &Chip {
        &self.chip
    }

    /// The drive is pulled out: the kernel gives it the size 0 then, whoever has it open.
    pub fn pull_out(&self) {
        self.chip.pull_out();
        run(tool("losetup", "mount").arg("--set-capacity").arg(self.device()));
    }
}

impl Drive for Disk {
    fn device(&self) -> &Path {
        self.device.as_ref().unwrap().path()
    }

    fn size(&self) -> u64 {
        self.chip.size()
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        self.chip.bytes(at, len)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.chip.mend();
        drop(self.device.take());
        if let Some(Err(e)) = self.session.take().map(BackgroundSession::umount_and_join) {
            eprintln!("{}: {e}", self.at.path().display());
        }
    }
}
