//! Letting go of a drive: unmounting what a desktop mounted, and switching a reader off.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::graph::Graph;
use super::identify::usb_device;
use super::machine::Machine;
use crate::drives::DeviceNumber;

/// Unmounts the file system at `at`, which lies on `device`, as anybody would who is done with it:
/// one that is busy stays. Who may not do it himself asks udisks, as the desktop did.
///
/// # Errors
/// What the kernel answers, or udisks.
pub fn unmount(at: &Path, device: &Path) -> io::Result<()> {
    match rustix::mount::unmount(at, UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => udisks(&["unmount", "--no-user-interaction", "-b"], device),
        Err(e) => Err(e.into()),
    }
}

fn udisks(arguments: &[&str], device: &Path) -> io::Result<()> {
    let out = Command::new("udisksctl").args(arguments).arg(device).stdin(Stdio::null()).output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&out.stderr).trim().to_owned()))
}

/// Whether the reader of a card could be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Off {
    /// It is off; the card may be pulled.
    Done,
    /// Nothing offers it, or somebody else uses the reader: the reason. All is stored; the card may
    /// be pulled.
    Not(String),
}

impl Machine {
    /// Switches the reader of `drive` off, if nothing else that hangs on it is in use.
    #[must_use]
    pub fn switch_off(&self, number: DeviceNumber, others: &[DeviceNumber]) -> Off {
        let not = |why: &str| Off::Not(why.to_owned());
        let Ok(graph) = Graph::read(self) else { return not("the kernel does not tell what it hangs on") };
        let Some(disk) = graph.get(number) else { return Off::Done };
        let Some(reader) = usb_device(self, disk) else {
            return not("its reader cannot be switched off");
        };
        // one that is built in would not come back before the next start
        let port = fs::read_to_string(self.at(&reader).join("removable")).unwrap_or_default();
        if port.trim() == "fixed" {
            return not("its reader is built in");
        }
        let Ok(uses) = self.uses(&graph, &[]) else { return not("the kernel does not tell who uses it") };
        for sibling in graph.disks().filter(|d| d.number != number && d.dir.starts_with(&reader)) {
            let used = graph.ways(sibling.number).iter().any(|(n, _)| uses.iter().any(|(used, _)| used == n));
            if used || others.contains(&sibling.number) {
                return not("another slot of its reader is in use");
            }
        }
        // Documentation/ABI/testing/sysfs-bus-usb: "remove" switches the port off where it can
        match fs::write(self.at(&reader).join("remove"), "1") {
            Ok(()) => Off::Done,
            Err(_) => match udisks(&["power-off", "--no-user-interaction", "-b"], &disk.path()) {
                Ok(()) => Off::Done,
                Err(e) if e.kind() == io::ErrorKind::NotFound => not("only root may switch its reader off"),
                Err(e) => Off::Not(e.to_string()),
            },
        }
    }
}
