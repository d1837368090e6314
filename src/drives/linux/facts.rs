//! What a drive says of itself: size, model, serial, bus.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::graph::{Graph, Node};
use super::identify::{bus, is_hotplugged, kind, usb_device};
use super::machine::Machine;
use crate::disk::FileDevice;
use crate::drives::{Content, DeviceNumber, Drive, Kind, Part, Use};
use crate::fs::probe::probe;

/// Sizes in sysfs are in units of 512 bytes, whatever the sector of the drive is
/// (Documentation/ABI/stable/sysfs-block).
const SYSFS_UNIT: u64 = 512;

pub(super) fn describe(machine: &Machine, graph: &Graph, disk: &Node, uses: Vec<Use>) -> Drive {
    let udev = Udev::read(machine, disk.number);
    let number = |name: &str| disk.attribute(machine, name).and_then(|text| text.parse::<u64>().ok());
    let kind = kind(machine, disk);
    let bus = bus(machine, disk);
    let removable = number("removable") == Some(1);
    let mut partitions: Vec<Part> = graph
        .partitions(disk.number)
        .map(|node| Part {
            name: node.name.clone(),
            number: node.number,
            size: size(machine, node),
            content: content(machine, node, &Udev::read(machine, node.number), kind),
        })
        .collect();
    partitions.sort_by_key(|p| (p.name.len(), p.name.clone()));
    let backing = disk.attribute(machine, "loop/backing_file").filter(|_| kind == Kind::Loop);
    Drive {
        path: disk.path(),
        number: disk.number,
        size: size(machine, disk),
        logical_sector: number("queue/logical_block_size").map_or(512, |n| n as u32),
        model: model(machine, disk, &udev),
        serial: serial(machine, disk, &udev),
        bus,
        kind,
        removable,
        hotplug: is_hotplugged(machine, disk, bus),
        read_only: number("ro") == Some(1),
        // what stands before the first partition says less than what is in them
        content: if partitions.is_empty() { content(machine, disk, &udev, kind) } else { udev.content() },
        partitions,
        uses,
        backing: backing.map(PathBuf::from),
        ids: ids(machine, graph, disk.number, &udev),
    }
}

/// What is on a drive or a partition: as udev noted it, or else as it is found there.
fn content(machine: &Machine, node: &Node, udev: &Udev, kind: Kind) -> Content {
    let noted = udev.content();
    // looking into these takes a motor; and into what is no drive, nobody asks for
    let is_read = matches!(kind, Kind::Disk | Kind::Loop) && size(machine, node) > 0;
    if noted != Content::default() || !is_read {
        return noted;
    }
    let opened = FileDevice::open(&machine.at(&node.path()));
    // who may not read it gets no answer, as before
    let found = opened.and_then(|device| probe(&device)).ok().flatten();
    found.map_or(noted, Content::from)
}

fn size(machine: &Machine, node: &Node) -> u64 {
    let units = node.attribute(machine, "size").and_then(|text| text.parse::<u64>().ok());
    units.unwrap_or(0).saturating_mul(SYSFS_UNIT)
}

fn model(machine: &Machine, disk: &Node, udev: &Udev) -> Option<String> {
    let part = |name: &str| disk.attribute(machine, name);
    // "ATA" is what the kernel calls the maker of every SATA drive
    let vendor = part("device/vendor").filter(|v| v != "ATA" && !v.starts_with("0x"));
    let model = part("device/model").or_else(|| part("device/name"));
    let said = match (vendor, model) {
        (Some(vendor), Some(model)) => Some(format!("{vendor} {model}")),
        (vendor, model) => model.or(vendor),
    };
    said.or_else(|| udev.get("ID_MODEL").map(|text| text.replace('_', " ")))
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn serial(machine: &Machine, disk: &Node, udev: &Udev) -> Option<String> {
    let of_usb = || {
        let dir = usb_device(machine, disk)?;
        fs::read_to_string(machine.at(&dir).join("serial")).ok()
    };
    udev.get("ID_SERIAL_SHORT")
        .map(str::to_owned)
        .or_else(|| disk.attribute(machine, "device/serial"))
        .or_else(|| disk.attribute(machine, "serial"))
        .or_else(of_usb)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// The links in `/dev/disk/by-id` to this drive: as udev notes them, or else as they lie there.
fn ids(machine: &Machine, graph: &Graph, number: DeviceNumber, udev: &Udev) -> Vec<PathBuf> {
    let dir = Path::new("/dev/disk/by-id");
    let mut ids: Vec<PathBuf> =
        udev.links.iter().map(|link| Path::new("/dev").join(link)).filter(|p| p.starts_with(dir)).collect();
    if ids.is_empty() {
        let there = fs::read_dir(machine.at(dir)).into_iter().flatten().flatten();
        ids = there
            .map(|entry| dir.join(entry.file_name()))
            .filter(|link| {
                let real = machine.canonical(link).ok();
                real.and_then(|real| machine.number_of(graph, &real)) == Some(number)
            })
            .collect();
    }
    ids.sort();
    ids
}

/// What udev noted of a device, in `/run/udev/data`: lines `E:KEY=value` and `S:link`.
#[derive(Default)]
struct Udev {
    properties: BTreeMap<String, String>,
    links: Vec<String>,
}

impl Udev {
    fn read(machine: &Machine, number: DeviceNumber) -> Self {
        let path = machine.at(Path::new("/run/udev/data")).join(format!("b{number}"));
        let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mut udev = Self::default();
        for line in text.unwrap_or_default().lines() {
            match line.split_once(':') {
                Some(("E", property)) => {
                    if let Some((key, value)) = property.split_once('=') {
                        udev.properties.insert(key.to_owned(), value.to_owned());
                    }
                }
                Some(("S", link)) => udev.links.push(link.to_owned()),
                _ => {}
            }
        }
        udev
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn content(&self) -> Content {
        let label =
            self.get("ID_FS_LABEL_ENC").map(unescape).or_else(|| self.get("ID_FS_LABEL").map(Into::into));
        Content { kind: self.get("ID_FS_TYPE").map(Into::into), label, ..Content::default() }
    }
}

/// udev writes what is no letter or digit as `\x20`.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        out += before;
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[2..];
            }
            None => {
                out += "\\x";
                rest = after;
            }
        }
    }
    out + rest
}
