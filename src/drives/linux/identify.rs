//! What kind of drive it is and how it is attached: read from where sysfs has it.

use std::fs;
use std::path::{Path, PathBuf};

use super::graph::Node;
use super::machine::Machine;
use crate::drives::{Bus, Kind};

/// SCSI's type of a device for CDs and DVDs (SCSI Primary Commands, peripheral device type).
const SCSI_OPTICAL: &str = "5";

/// Whether `name` is `word` and a number.
fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

pub(super) fn kind(machine: &Machine, disk: &Node) -> Kind {
    let name = disk.name.as_str();
    let is = |word: &str| is_numbered(name, word);
    if disk.attribute(machine, "dm/name").is_some() || is("dm-") {
        Kind::Volume
    } else if is("md") || name.starts_with("md_") || name.starts_with("md/") {
        Kind::Raid
    } else if is("loop") {
        Kind::Loop
    } else if is("zram") || is("ram") || is("pmem") {
        Kind::Memory
    } else if is("sr") || disk.attribute(machine, "device/type").as_deref() == Some(SCSI_OPTICAL) {
        Kind::Optical
    } else if is("fd") {
        Kind::Floppy
    } else if is("mmcblk") && (name.contains("boot") || name.ends_with("rpmb")) {
        Kind::BootArea
    } else {
        Kind::Disk
    }
}

pub(super) fn bus(machine: &Machine, disk: &Node) -> Bus {
    let parts: Vec<&str> = disk.dir.iter().filter_map(|part| part.to_str()).collect();
    let has = |word: &str| parts.iter().any(|part| is_numbered(part, word));
    // the bus that the user plugs into comes first: NVMe behind USB is a USB drive
    if has("usb") {
        Bus::Usb
    } else if has("mmc") {
        match disk.attribute(machine, "device/type").as_deref() {
            Some("MMC") => Bus::Emmc,
            _ if kind(machine, disk) == Kind::BootArea => Bus::Emmc,
            _ => Bus::Sd,
        }
    } else if has("nvme") {
        Bus::Nvme
    } else if has("ata") {
        Bus::Sata
    } else if has("fw") {
        Bus::Firewire
    } else if has("virtio") {
        Bus::Virtio
    } else if parts.contains(&"virtual") {
        Bus::Virtual
    } else if has("host") {
        Bus::Scsi
    } else {
        Bus::Other
    }
}

/// Whether it can be attached while the machine runs. A USB port that is soldered to its device, as
/// those of built-in disks are, says so.
pub(super) fn is_hotplugged(machine: &Machine, disk: &Node, bus: Bus) -> bool {
    match bus {
        Bus::Sd | Bus::Firewire => true,
        Bus::Usb => {
            let port = usb_device(machine, disk).map(|dir| machine.at(&dir).join("removable"));
            let said = port.and_then(|path| fs::read_to_string(path).ok());
            said.is_none_or(|text| text.trim() != "fixed")
        }
        _ => false,
    }
}

/// The USB device that a drive belongs to: the nearest one above it.
pub(super) fn usb_device(machine: &Machine, disk: &Node) -> Option<PathBuf> {
    let is_usb_device = |dir: &&Path| machine.at(dir).join("idVendor").exists();
    disk.dir.ancestors().skip(1).find(is_usb_device).map(Path::to_owned)
}
