//! Loop devices as cards.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use support::{run, tool};

/// Size of a card in bytes: one that holds the large base.
pub const CARD: u64 = 4 << 30;

/// A loop device over a file. Both are gone when it is dropped; the device also when this program
/// is killed: it was detached as soon as it was held open, and the kernel does so at the last close.
pub struct Card {
    pub device: PathBuf,
    file: PathBuf,
    // reading alone: pibake writes to no drive that somebody else has open for writing
    held: Option<File>,
}

impl Card {
    /// One whose blocks are all there, as those of a card are: times are taken with it.
    pub fn whole(dir: &Path, name: &str) -> Self {
        let card = File::create(dir.join(name)).expect("a file for a card");
        rustix::fs::fallocate(&card, rustix::fs::FallocateFlags::empty(), 0, CARD).expect("room for a card");
        Self::over(dir.join(name))
    }

    /// One that takes no more room than what is written to it: where the file does not set the pace.
    pub fn sparse(dir: &Path, name: &str) -> Self {
        let card = File::create(dir.join(name)).expect("a file for a card");
        card.set_len(CARD).expect("the size of a card");
        Self::over(dir.join(name))
    }

    fn over(file: PathBuf) -> Self {
        let mut attach = tool("losetup", "mount");
        // with partitions, for some look at them when they have written
        attach.args(["--find", "--show", "--direct-io=on", "--partscan"]).arg(&file);
        let device = PathBuf::from(run(&mut attach).trim());
        let held = File::open(&device).unwrap_or_else(|e| panic!("{}: {e}", device.display()));
        run(tool("losetup", "mount").arg("--detach").arg(&device));
        Self { device, file, held: Some(held) }
    }

    /// Its number, as control groups want it.
    pub fn number(&self) -> String {
        let device = fs::metadata(&self.device).expect("the loop device").rdev();
        format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        drop(self.held.take());
        if let Err(e) = fs::remove_file(&self.file) {
            eprintln!("{}: {e}", self.file.display());
        }
    }
}

/// Detaches what is attached to files below `dir`.
pub fn detach_below(dir: &Path) {
    let Ok(found) =
        tool("losetup", "mount").args(["--list", "--noheadings", "--output", "NAME,BACK-FILE"]).output()
    else {
        return;
    };
    for line in String::from_utf8_lossy(&found.stdout).lines() {
        let Some((device, file)) = line.trim().split_once(char::is_whitespace) else { continue };
        if Path::new(file.trim()).starts_with(dir) {
            eprintln!("detaching {device}");
            let _ = tool("losetup", "mount").arg("--detach").arg(device).status();
        }
    }
}
