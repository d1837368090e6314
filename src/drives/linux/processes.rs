//! Processes that have a drive open for writing. Those who only read, as udev does now and then, do
//! no harm. Processes of other users are seen by root alone; what they hold exclusively, the kernel
//! refuses to everybody else.

use std::fs;
use std::io;
use std::path::Path;

use super::graph::Graph;
use super::machine::Machine;
use crate::drives::{By, DeviceNumber};

/// The bits of open(2)'s flags that say how a file is accessed; 0 is reading alone.
const ACCESS_MODE: u32 = 0o3;

impl Machine {
    /// Who writes to `disk`, or to anything on it.
    pub(super) fn writers(&self, graph: &Graph, disk: DeviceNumber) -> io::Result<Vec<(DeviceNumber, By)>> {
        let ours: Vec<DeviceNumber> = graph.ways(disk).into_iter().map(|(number, _)| number).collect();
        let mut found = Vec::new();
        for entry in fs::read_dir(self.at(Path::new("/proc")))? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if pid == std::process::id() && !self.recorded {
                continue;
            }
            // it may end, or not be ours to look at
            for open in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
                let Some(number) = self.opened(graph, &open.path()) else { continue };
                if ours.contains(&number) && writes(&entry.path().join("fdinfo").join(open.file_name())) {
                    let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                    found.push((number, By::Process { pid, name: name.trim().to_owned() }));
                    break;
                }
            }
        }
        Ok(found)
    }

    fn opened(&self, graph: &Graph, descriptor: &Path) -> Option<DeviceNumber> {
        if self.recorded {
            return graph.named(&fs::read_link(descriptor).ok()?);
        }
        self.number_of(graph, descriptor)
    }
}

/// Whether a descriptor was opened for writing, by `/proc/PID/fdinfo/FD`; one that hides it is taken
/// for a writer.
fn writes(info: &Path) -> bool {
    let text = fs::read_to_string(info).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|digits| u32::from_str_radix(digits.trim(), 8).ok());
    flags.is_none_or(|flags| flags & ACCESS_MODE != 0)
}
