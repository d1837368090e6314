//! Drives as the Linux kernel has them: sysfs, mountinfo, swaps, and what udev noted beside.

mod facts;
mod graph;
mod identify;
mod leave;
mod machine;
mod processes;
mod tables;
#[cfg(target_os = "linux")]
pub mod udisks;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{By, DeviceNumber, Drive, Own, Use};
pub use leave::{Off, unmount};
pub use machine::Machine;

use graph::Graph;
use tables::Mount;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A drive, and the path without links.
    Drive(Box<Drive>, PathBuf),
    /// A partition of this drive.
    Partition {
        /// The drive.
        drive: PathBuf,
    },
    /// No block device.
    Other(&'static str),
    /// A block device of which the kernel says nothing.
    Unknown,
    /// Nothing.
    Missing,
}

impl Machine {
    /// All drives, by name, with everyone who uses them. The drives that hold one of `own` are used
    /// by pibake itself. Processes that have a drive open are not looked for here.
    ///
    /// # Errors
    /// Where sysfs or the tables of mounts and swaps cannot be read.
    pub fn drives(&self, own: &[Own]) -> io::Result<Vec<Drive>> {
        let graph = Graph::read(self)?;
        let uses = self.uses(&graph, own)?;
        Ok(graph.disks().map(|disk| self.drive(&graph, disk, &uses)).collect())
    }

    /// What `path` leads to, links resolved.
    ///
    /// # Errors
    /// As [`Machine::drives`].
    pub fn find(&self, path: &Path, own: &[Own]) -> io::Result<Found> {
        let real = match self.canonical(path) {
            Ok(real) => real,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Found::Missing);
            }
            Err(e) => return Err(e),
        };
        let graph = Graph::read(self)?;
        let Some(number) = self.number_of(&graph, &real) else {
            let kind = fs::metadata(self.at(&real))?.file_type();
            return Ok(Found::Other(match () {
                () if kind.is_dir() => "a folder",
                () if kind.is_char_device() => "a character device",
                () if kind.is_file() => "a regular file",
                () => "neither a file nor a drive",
            }));
        };
        let Some(node) = graph.get(number) else { return Ok(Found::Unknown) };
        if let Some(disk) = node.disk.and_then(|disk| graph.get(disk)) {
            return Ok(Found::Partition { drive: disk.path() });
        }
        let mut uses = self.uses(&graph, own)?;
        uses.extend(self.writers(&graph, number)?);
        Ok(Found::Drive(Box::new(self.drive(&graph, node, &uses)), real))
    }

    fn uses(&self, graph: &Graph, own: &[Own]) -> io::Result<Vec<(DeviceNumber, By)>> {
        let mounts = tables::mounts(&self.text("/proc/self/mountinfo")?);
        let mut uses = Vec::new();
        for mount in &mounts {
            let at = || By::Mount(mount.at.clone());
            uses.extend(self.devices_of(graph, mount).into_iter().map(|number| (number, at())));
        }
        for path in tables::swaps(&self.text("/proc/swaps")?) {
            let real = self.canonical(&path).unwrap_or(path);
            match self.number_of(graph, &real) {
                Some(number) => uses.push((number, By::Swap)),
                // a file to swap to: its file system is mounted
                None => uses
                    .extend(self.holding(graph, &mounts, &real).into_iter().map(|number| (number, By::Swap))),
            }
        }
        for thing in own {
            let Some(real) = self.nearest(&thing.path) else { continue };
            let numbers = self.holding(graph, &mounts, &real);
            uses.extend(numbers.into_iter().map(|number| (number, By::Own(thing.what.to_owned()))));
        }
        Ok(uses)
    }

    /// The block devices of a mounted file system. Those that span several have a number of their own.
    fn devices_of(&self, graph: &Graph, mount: &Mount) -> Vec<DeviceNumber> {
        let number = match mount.number {
            number if number.major != 0 => Some(number),
            _ => self.canonical(&mount.source).ok().and_then(|real| self.number_of(graph, &real)),
        };
        match number {
            Some(number) if mount.kind == "btrfs" => graph.btrfs_siblings(number),
            number => number.into_iter().collect(),
        }
    }

    /// The devices of the file system that `real` lies on, or the device itself that it is.
    fn holding(&self, graph: &Graph, mounts: &[Mount], real: &Path) -> Vec<DeviceNumber> {
        if let Some(number) = self.number_of(graph, real) {
            return vec![number];
        }
        if !self.recorded
            && let Ok(found) = fs::metadata(real)
        {
            let number = split(found.dev());
            if number.major != 0 {
                return vec![number];
            }
        }
        // later mounts lie over earlier ones
        let over = mounts.iter().rev().filter(|m| real.starts_with(&m.at));
        let deepest = over.max_by_key(|m| m.at.components().count());
        deepest.map(|mount| self.devices_of(graph, mount)).unwrap_or_default()
    }

    /// `path` without links, or what of it is there: a cache may not have been made yet.
    fn nearest(&self, path: &Path) -> Option<PathBuf> {
        path.ancestors()
            .find_map(|p| self.canonical(if p == Path::new("") { Path::new(".") } else { p }).ok())
    }

    fn number_of(&self, graph: &Graph, real: &Path) -> Option<DeviceNumber> {
        if self.recorded {
            return graph.named(real);
        }
        let found = fs::metadata(real).ok()?;
        found.file_type().is_block_device().then(|| split(found.rdev()))
    }

    fn drive(&self, graph: &Graph, disk: &graph::Node, uses: &[(DeviceNumber, By)]) -> Drive {
        let ways = graph.ways(disk.number);
        let mut used = Vec::new();
        for (number, way) in &ways {
            let here: Vec<&By> = uses.iter().filter(|(n, _)| n == number).map(|(_, by)| by).collect();
            used.extend(here.into_iter().map(|by| Use { way: way.clone(), by: by.clone() }));
        }
        // A holder is named for itself only where nothing that lies on it says more.
        for (number, way) in &ways {
            let below = used.iter().any(|u| u.way.starts_with(way));
            let holder = graph.get(*number).is_some_and(|node| node.disk.is_none());
            let deeper = ways.iter().any(|(_, other)| other.len() > way.len() && other.starts_with(way));
            if holder && *number != disk.number && !below && !deeper {
                used.push(Use { way: way.clone(), by: By::Holder });
            }
        }
        facts::describe(self, graph, disk, used)
    }
}

/// A device number as `stat` packs it.
fn split(packed: u64) -> DeviceNumber {
    DeviceNumber { major: rustix::fs::major(packed), minor: rustix::fs::minor(packed) }
}
