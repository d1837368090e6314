//! Which drives this machine has, and which of them may be written.
//!
//! What is there is read from the kernel ([`linux`]) or from `diskutil` (`macos`); what may be done
//! with it is decided in one place, [`Eligibility::of`], from that alone.

mod eligibility;
pub mod linux;
#[cfg(any(target_os = "macos", test))]
pub mod macos;

pub use eligibility::{Eligibility, Needs, Purpose, Refusal};

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fs::probe::Probed;
use crate::io::human_bytes;

/// The kernel's number of a block device. Names change and links mislead; this is what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// Reads `8:16`, as sysfs and mountinfo have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A block device that is no partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// Its device file, `/dev/sdb`.
    pub path: PathBuf,
    /// The kernel's number.
    pub number: DeviceNumber,
    /// Size in bytes; 0 where a reader holds no card.
    pub size: u64,
    /// Bytes in the smallest unit that can be addressed.
    pub logical_sector: u32,
    /// Maker and model, as the drive says.
    pub model: Option<String>,
    /// Serial number, as the drive says; cheap readers all say the same.
    pub serial: Option<String>,
    /// How it is attached.
    pub bus: Bus,
    /// What it is.
    pub kind: Kind,
    /// The medium can be taken out of it.
    pub removable: bool,
    /// It can be attached and detached while the machine runs.
    pub hotplug: bool,
    /// The kernel refuses writes to it.
    pub read_only: bool,
    /// What is on it where it has no partitions.
    pub content: Content,
    /// Its partitions, as the kernel sees them.
    pub partitions: Vec<Part>,
    /// Who uses it or anything on it.
    pub uses: Vec<Use>,
    /// The file behind a loop device.
    pub backing: Option<PathBuf>,
    /// Names that stay the same wherever it is plugged in, below `/dev/disk/by-id`.
    pub ids: Vec<PathBuf>,
}

/// A partition of a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, `sdb1`.
    pub name: String,
    /// The kernel's number.
    pub number: DeviceNumber,
    /// Size in bytes.
    pub size: u64,
    /// What is on it.
    pub content: Content,
}

/// What is known of the content of a drive or a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The type of the file system, in udev's words.
    pub kind: Option<String>,
    /// The volume label.
    pub label: Option<String>,
    /// Bytes that its files take, where that is known.
    pub used: Option<u64>,
    /// What is in the partitions of a drive of which the kernel sees none, as without partition
    /// scanning on a loop device.
    pub within: Vec<Content>,
}

impl From<Probed> for Content {
    fn from(found: Probed) -> Self {
        let within = found.partitions.into_iter().map(|p| p.map_or_else(Self::default, Into::into));
        Self {
            kind: Some(found.kind.to_owned()),
            label: found.label,
            used: found.used,
            within: within.collect(),
        }
    }
}

/// How a drive is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// USB, card readers included.
    Usb,
    /// A slot for SD cards without USB between.
    Sd,
    /// A memory chip that is soldered in.
    Emmc,
    /// NVMe.
    Nvme,
    /// Serial ATA.
    Sata,
    /// SCSI or SAS.
    Scsi,
    /// FireWire.
    Firewire,
    /// A virtual machine's.
    Virtio,
    /// None: the kernel makes it.
    Virtual,
    /// Another one.
    Other,
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usb => "USB",
            Self::Sd => "SD",
            Self::Emmc => "eMMC",
            Self::Nvme => "NVMe",
            Self::Sata => "SATA",
            Self::Scsi => "SCSI",
            Self::Firewire => "FireWire",
            Self::Virtio => "virtio",
            Self::Virtual => "virtual",
            Self::Other => "other",
        })
    }
}

/// What a block device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A drive, or a reader with a card in it.
    Disk,
    /// A CD, DVD or Blu-ray drive.
    Optical,
    /// A floppy drive.
    Floppy,
    /// A part of an eMMC that its firmware boots from.
    BootArea,
    /// A file that looks like a drive.
    Loop,
    /// A volume of the device mapper: LVM, dm-crypt, multipath.
    Volume,
    /// An array of several drives.
    Raid,
    /// Memory that looks like a drive.
    Memory,
}

impl Drive {
    /// What is on it, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.partitions.is_empty() {
            return match self.content.to_string() {
                text if text.is_empty() && self.size == 0 => "empty".into(),
                text if text.is_empty() => "nothing known".into(),
                text => text,
            };
        }
        list(self.partitions.iter().map(|partition| &partition.content))
    }

    /// The kernel's name for it, without the folder.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.strip_prefix("/dev").unwrap_or(&self.path).display().to_string()
    }
}

/// How many partitions there are, and what is in them.
fn list<'a>(partitions: impl ExactSizeIterator<Item = &'a Content>) -> String {
    let count = match partitions.len() {
        1 => "1 partition".to_owned(),
        n => format!("{n} partitions"),
    };
    let named: Vec<String> = partitions.map(ToString::to_string).filter(|text| !text.is_empty()).collect();
    if named.is_empty() { count } else { format!("{count}: {}", named.join(", ")) }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.within.is_empty() {
            return f.write_str(&list(self.within.iter()));
        }
        match (&self.kind, &self.label) {
            (Some(kind), Some(label)) => write!(f, "{kind} {label:?}")?,
            (Some(kind), None) => f.write_str(kind)?,
            (None, Some(label)) => write!(f, "{label:?}")?,
            (None, None) => {}
        }
        match self.used {
            Some(used) => write!(f, " ({} in use)", human_bytes(used)),
            None => Ok(()),
        }
    }
}

/// Somebody who uses a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The way from the drive to what is used: a partition, what lies on it, and so on. Empty where
    /// it is the drive itself.
    pub way: Vec<String>,
    /// By whom.
    pub by: By,
}

/// How a drive is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A file system is mounted there.
    Mount(PathBuf),
    /// Memory is swapped to it.
    Swap,
    /// A part of the kernel holds it: the device mapper, an array, a loop device.
    Holder,
    /// A process has it open for writing.
    Process {
        /// Its number.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// Something that pibake needs lies on it.
    Own(String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = self.way.join(" > ");
        let (on, of) = match way.as_str() {
            "" => (String::new(), String::new()),
            way => (format!(" ({way})"), format!(" {way}")),
        };
        match &self.by {
            By::Mount(at) => write!(f, "mounted on {}{on}", at.display()),
            By::Swap => write!(f, "swap{on}"),
            By::Holder => write!(f, "held by{of}"),
            By::Process { pid, name } => write!(f, "open in {name} (process {pid}){on}"),
            By::Own(what) => write!(f, "holds {what}{on}"),
        }
    }
}

/// Something of pibake's own, whose drive must never be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// What it is, in words: "pibake's cache".
    pub what: &'static str,
    /// Where it is.
    pub path: PathBuf,
}
