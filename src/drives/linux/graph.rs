//! Which block device lies on which: partitions, and what holds them, at any depth.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::machine::Machine;
use crate::drives::DeviceNumber;

/// A block device of the kernel's.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub number: DeviceNumber,
    /// As the kernel has it, with the slashes of the few names that have some.
    pub name: String,
    /// Its directory in sysfs, without links.
    pub dir: PathBuf,
    /// The drive, if this is a partition.
    pub disk: Option<DeviceNumber>,
    /// The device mapper's name for it, or none.
    pub alias: Option<String>,
}

impl Node {
    pub(super) fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// The text of an attribute, if it has one that is not empty.
    pub(super) fn attribute(&self, machine: &Machine, name: &str) -> Option<String> {
        let bytes = fs::read(machine.at(&self.dir).join(name)).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn label(&self) -> String {
        match &self.alias {
            Some(alias) => format!("{} ({alias})", self.name),
            None => self.name.clone(),
        }
    }
}

/// All block devices.
pub(super) struct Graph {
    nodes: BTreeMap<DeviceNumber, Node>,
    /// What lies directly on a device.
    above: BTreeMap<DeviceNumber, Vec<DeviceNumber>>,
    /// The devices of each btrfs.
    btrfs: Vec<Vec<DeviceNumber>>,
}

impl Graph {
    pub(super) fn read(machine: &Machine) -> io::Result<Self> {
        let mut nodes = BTreeMap::new();
        let class = machine.at(Path::new("/sys/class/block"));
        let reading = |e: io::Error| io::Error::new(e.kind(), format!("reading /sys/class/block: {e}"));
        for entry in fs::read_dir(class).map_err(reading)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // one that is being pulled out right now is no longer there
            if let Some(node) = node(machine, &name) {
                nodes.insert(node.number, node);
            }
        }
        let by_dir: BTreeMap<PathBuf, DeviceNumber> =
            nodes.values().map(|node| (node.dir.clone(), node.number)).collect();
        for node in nodes.values_mut() {
            let is_partition = machine.at(&node.dir).join("partition").exists();
            node.disk = node.dir.parent().filter(|_| is_partition).and_then(|dir| by_dir.get(dir)).copied();
        }
        let mut graph = Self { nodes, above: BTreeMap::new(), btrfs: Vec::new() };
        graph.connect(machine);
        Ok(graph)
    }

    fn connect(&mut self, machine: &Machine) {
        let mut edges = Vec::new();
        for node in self.nodes.values() {
            if let Some(disk) = node.disk {
                edges.push((disk, node.number));
            }
            let dir = machine.at(&node.dir);
            edges.extend(self.listed(&dir.join("holders")).into_iter().map(|above| (node.number, above)));
            edges.extend(self.listed(&dir.join("slaves")).into_iter().map(|below| (below, node.number)));
            // a loop device over a drive is not among the drive's holders
            let backing = node.attribute(machine, "loop/backing_file").map(PathBuf::from);
            let below = backing.and_then(|path| {
                let real = machine.canonical(&path).ok()?;
                machine.number_of(self, &real)
            });
            edges.extend(below.map(|below| (below, node.number)));
        }
        for (below, above) in edges {
            let list = self.above.entry(below).or_default();
            if !list.contains(&above) && above != below {
                list.push(above);
            }
        }
        let root = machine.at(Path::new("/sys/fs/btrfs"));
        for id in names(&root) {
            self.btrfs.push(self.listed(&root.join(id).join("devices")));
        }
    }

    /// The devices whose names are in a directory.
    fn listed(&self, dir: &Path) -> Vec<DeviceNumber> {
        names(dir).iter().filter_map(|name| self.by_name(name)).collect()
    }

    fn by_name(&self, name: &str) -> Option<DeviceNumber> {
        let name = name.replace('!', "/");
        self.nodes.values().find(|node| node.name == name).map(|node| node.number)
    }

    /// The device whose file this would be, going by its name.
    pub(super) fn named(&self, path: &Path) -> Option<DeviceNumber> {
        self.nodes.values().find(|node| node.path() == path).map(|node| node.number)
    }

    pub(super) fn get(&self, number: DeviceNumber) -> Option<&Node> {
        self.nodes.get(&number)
    }

    /// All that are no partitions, by name.
    pub(super) fn disks(&self) -> impl Iterator<Item = &Node> {
        let mut disks: Vec<&Node> = self.nodes.values().filter(|node| node.disk.is_none()).collect();
        // sdb before sdaa
        disks.sort_by_key(|node| (node.name.len(), node.name.clone()));
        disks.sort_by_key(|node| {
            node.name.chars().take_while(|c| c.is_alphabetic()).take(2).collect::<String>()
        });
        disks.into_iter()
    }

    pub(super) fn partitions(&self, disk: DeviceNumber) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(move |node| node.disk == Some(disk))
    }

    /// The other devices of the btrfs that `number` belongs to, and itself.
    pub(super) fn btrfs_siblings(&self, number: DeviceNumber) -> Vec<DeviceNumber> {
        self.btrfs.iter().find(|members| members.contains(&number)).cloned().unwrap_or_else(|| vec![number])
    }

    /// Everything that lies on `disk`, itself first, each with the way there.
    pub(super) fn ways(&self, disk: DeviceNumber) -> Vec<(DeviceNumber, Vec<String>)> {
        let mut found = vec![(disk, Vec::new())];
        let mut next = 0;
        while let Some((number, way)) = found.get(next).cloned() {
            for above in self.above.get(&number).into_iter().flatten() {
                // what is built on two partitions of a drive is reached twice
                if let Some(node) = self.get(*above).filter(|_| !found.iter().any(|(n, _)| n == above)) {
                    let mut way = way.clone();
                    way.push(node.label());
                    found.push((*above, way));
                }
            }
            next += 1;
        }
        found
    }
}

fn node(machine: &Machine, name: &str) -> Option<Node> {
    let dir = machine.canonical(&Path::new("/sys/class/block").join(name)).ok()?;
    let read = |file: &str| fs::read_to_string(machine.at(&dir).join(file)).ok();
    let number = DeviceNumber::parse(&read("dev")?)?;
    let alias = read("dm/name").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(Node { number, name: name.replace('!', "/"), dir, disk: None, alias })
}

/// The names in a directory, sorted; none where it is not there.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
