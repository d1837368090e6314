//! Drives as macOS has them: read from the property lists that `diskutil` prints. The reading is
//! tested everywhere; only the asking needs macOS.

use std::io;
use std::path::PathBuf;

use plist::{Dictionary, Value};

use super::{Bus, By, Content, DeviceNumber, Drive, Kind, Own, Part, Use};
use crate::error::{Classified, ErrorClass};

/// Why what `diskutil` said cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no property list.
    #[error("what diskutil printed is not a property list")]
    Plist(#[from] plist::Error),
    /// It is one without something that is always there.
    #[error("what diskutil printed has no {0}")]
    Missing(&'static str),
    /// diskutil cannot be run.
    #[error("running diskutil")]
    Run(#[from] io::Error),
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Plist(_) | Self::Missing(_) => ErrorClass::Failed,
            Self::Run(source) => ErrorClass::of_io(source),
        }
    }
}

/// The identifiers (`disk4`) of all whole drives, in the output of `diskutil list -plist`.
///
/// # Errors
/// [`Error`]
pub fn whole_disks(list: &[u8]) -> Result<Vec<String>, Error> {
    let list = dictionary(list)?;
    let whole = list.get("WholeDisks").and_then(Value::as_array).ok_or(Error::Missing("WholeDisks"))?;
    Ok(whole.iter().filter_map(Value::as_string).map(str::to_owned).collect())
}

/// The drive that `diskutil info -plist diskN` (`info`) and `diskutil list -plist` (`list`)
/// describe. The drives that hold one of `own` are used by pibake itself.
///
/// # Errors
/// [`Error`]
pub fn drive(info: &[u8], list: &[u8], own: &[Own]) -> Result<Drive, Error> {
    let (info, list) = (dictionary(info)?, dictionary(list)?);
    let text = |key: &str| info.get(key).and_then(Value::as_string).filter(|text| !text.is_empty());
    let flag = |key: &str| info.get(key).and_then(Value::as_boolean);
    let id = text("DeviceIdentifier").ok_or(Error::Missing("DeviceIdentifier"))?;
    let size = number(&info, "TotalSize").or_else(|| number(&info, "Size")).ok_or(Error::Missing("Size"))?;
    let protocol = text("BusProtocol").unwrap_or_default();
    let virtual_disk = text("VirtualOrPhysical") == Some("Virtual") || protocol == "Disk Image";
    let bus = match protocol {
        "USB" => Bus::Usb,
        "Secure Digital" => Bus::Sd,
        "PCI-Express" | "Apple Fabric" => Bus::Nvme,
        "SATA" => Bus::Sata,
        "SAS" => Bus::Scsi,
        "FireWire" => Bus::Firewire,
        _ if virtual_disk => Bus::Virtual,
        _ => Bus::Other,
    };
    let internal = flag("Internal").unwrap_or(true);
    let sector = number(&info, "DeviceBlockSize").unwrap_or(512) as u32;
    let all = disks(&list);
    let entry = all.iter().find(|disk| identifier(disk) == Some(id));
    let partitions: Vec<Part> = children(entry, "Partitions")
        .filter_map(|part| {
            let content = Content {
                kind: string(part, "Content"),
                label: string(part, "VolumeName"),
                ..Content::default()
            };
            let name = identifier(part)?.to_owned();
            Some(Part { name, number: UNKNOWN, size: number(part, "Size").unwrap_or(0), content })
        })
        .collect();
    let mut uses = Vec::new();
    if let Some(entry) = entry {
        used_below(entry, &all, &mut Vec::new(), &mut uses);
    }
    let holds: Vec<Use> = own.iter().flat_map(|thing| holding(thing, &uses, &all)).collect();
    uses.extend(holds);
    Ok(Drive {
        path: PathBuf::from("/dev").join(id),
        number: UNKNOWN,
        size,
        logical_sector: sector,
        model: text("MediaName").map(|name| name.trim().to_owned()),
        // diskutil tells none
        serial: None,
        bus,
        kind: if virtual_disk {
            Kind::Volume
        } else if text("OpticalDeviceType").is_some() {
            Kind::Optical
        } else {
            Kind::Disk
        },
        removable: flag("RemovableMedia").or_else(|| flag("Removable")).unwrap_or(false),
        hotplug: !internal || bus == Bus::Sd,
        read_only: flag("WritableMedia").or_else(|| flag("Writable")) == Some(false),
        content: Content { kind: None, label: text("VolumeName").map(str::to_owned), ..Content::default() },
        partitions,
        uses,
        backing: None,
        ids: Vec::new(),
    })
}

/// macOS does not tell device numbers; its names are unique while a drive is attached.
const UNKNOWN: DeviceNumber = DeviceNumber { major: 0, minor: 0 };

fn dictionary(bytes: &[u8]) -> Result<Dictionary, Error> {
    let value = Value::from_reader(io::Cursor::new(bytes))?;
    value.into_dictionary().ok_or(Error::Missing("dictionary"))
}

fn number(from: &Dictionary, key: &str) -> Option<u64> {
    from.get(key).and_then(Value::as_unsigned_integer)
}

fn string(from: &Dictionary, key: &str) -> Option<String> {
    from.get(key).and_then(Value::as_string).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn identifier(from: &Dictionary) -> Option<&str> {
    from.get("DeviceIdentifier").and_then(Value::as_string)
}

fn disks(list: &Dictionary) -> Vec<&Dictionary> {
    let all = list.get("AllDisksAndPartitions").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_dictionary).collect()
}

fn children<'a>(entry: Option<&&'a Dictionary>, key: &str) -> impl Iterator<Item = &'a Dictionary> {
    let list = entry.and_then(|entry| entry.get(key)).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_dictionary)
}

/// Mounted volumes on a drive: on itself, its partitions, and the APFS containers that lie on those.
fn used_below(entry: &Dictionary, all: &[&Dictionary], way: &mut Vec<String>, uses: &mut Vec<Use>) {
    if let Some(at) = string(entry, "MountPoint") {
        uses.push(Use { way: way.clone(), by: By::Mount(PathBuf::from(at)) });
    }
    for key in ["Partitions", "APFSVolumes"] {
        for part in children(Some(&entry), key) {
            way.push(identifier(part).unwrap_or("?").to_owned());
            used_below(part, all, way, uses);
            // a container is a drive of its own that names the partition it is stored on
            for container in all.iter().filter(|disk| is_stored_on(disk, identifier(part))) {
                way.push(identifier(container).unwrap_or("?").to_owned());
                let before = uses.len();
                used_below(container, all, way, uses);
                if uses.len() == before {
                    uses.push(Use { way: way.clone(), by: By::Holder });
                }
                way.pop();
            }
            way.pop();
        }
    }
}

fn is_stored_on(disk: &Dictionary, partition: Option<&str>) -> bool {
    partition.is_some()
        && children(Some(&disk), "APFSPhysicalStores").any(|store| identifier(store) == partition)
}

/// The use of a drive that something of pibake's own makes: it lies on the volume with the longest
/// mount point above it, of all volumes of all drives.
fn holding(thing: &Own, uses: &[Use], all: &[&Dictionary]) -> Option<Use> {
    let mut everywhere = Vec::new();
    for disk in all {
        used_below(disk, all, &mut Vec::new(), &mut everywhere);
    }
    let mount = |used: &Use| match &used.by {
        By::Mount(at) if thing.path.starts_with(at) => Some(at.clone()),
        _ => None,
    };
    let deepest = everywhere.iter().filter_map(mount).max_by_key(|at| at.components().count())?;
    let here = uses.iter().find(|used| mount(used).as_ref() == Some(&deepest))?;
    Some(Use { way: here.way.clone(), by: By::Own(thing.what.to_owned()) })
}

/// All drives of this Mac.
///
/// # Errors
/// [`Error`]
#[cfg(target_os = "macos")]
pub fn drives(own: &[Own]) -> Result<Vec<Drive>, Error> {
    let ask = |arguments: &[&str]| -> Result<Vec<u8>, Error> {
        let out = std::process::Command::new("/usr/sbin/diskutil").args(arguments).output()?;
        if out.status.success() {
            Ok(out.stdout)
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&out.stderr).into_owned()).into())
        }
    };
    let list = ask(&["list", "-plist"])?;
    whole_disks(&list)?.iter().map(|id| drive(&ask(&["info", "-plist", id])?, &list, own)).collect()
}

#[cfg(test)]
mod tests;
