//! The document of `pibake drives`.

use serde::{Deserialize, Serialize};

use super::text;
use crate::drives::{self, Bus, By, Eligibility, Kind, Needs, Purpose, Refusal};

/// `pibake drives`
#[derive(Serialize, Deserialize)]
pub(crate) struct Drives {
    pub drives: Vec<Drive>,
}

/// A drive, and whether it may be written.
#[derive(Serialize, Deserialize)]
pub(crate) struct Drive {
    drive: String,
    number: String,
    bytes: u64,
    sector_bytes: u32,
    model: Option<String>,
    serial: Option<String>,
    bus: Bus,
    kind: Kind,
    removable: bool,
    hotplug: bool,
    read_only: bool,
    content: Content,
    partitions: Vec<Part>,
    backing: Option<String>,
    backing_base64: Option<String>,
    ids: Vec<String>,
    eligibility: String,
    reasons: Vec<Reason>,
}

#[derive(Serialize, Deserialize)]
struct Part {
    name: Option<String>,
    bytes: Option<u64>,
    content: Content,
}

#[derive(Serialize, Deserialize)]
struct Content {
    kind: Option<String>,
    label: Option<String>,
    used_bytes: Option<u64>,
}

/// Why a drive may not be written, or not without a flag.
#[derive(Serialize, Deserialize)]
struct Reason {
    reason: String,
    text: String,
    mount_point: Option<String>,
    mount_point_base64: Option<String>,
    pid: Option<u32>,
}

impl From<&drives::Drive> for Drive {
    fn from(drive: &drives::Drive) -> Self {
        let (backing, backing_base64) = drive.backing.as_ref().map(text).unzip();
        let (eligibility, reasons) = match Eligibility::of(drive, Purpose::Card, None) {
            Eligibility::Allowed => ("allowed", Vec::new()),
            Eligibility::NeedsAllowFixed(needs) => {
                ("needs-allow-fixed", needs.iter().map(Reason::from).collect())
            }
            Eligibility::Refused(refusals) => ("refused", refusals.iter().map(Reason::from).collect()),
        };
        let seen = drive.partitions.iter().map(|p| (Some(p.name.clone()), Some(p.size), &p.content));
        // the kernel sees none on a loop device without partition scanning
        let found = drive.content.within.iter().map(|content| (None, None, content));
        let part =
            |(name, bytes, content): (_, _, &drives::Content)| Part { name, bytes, content: content.into() };
        Self {
            drive: drive.path.to_string_lossy().into_owned(),
            number: drive.number.to_string(),
            bytes: drive.size,
            sector_bytes: drive.logical_sector,
            model: drive.model.clone(),
            serial: drive.serial.clone(),
            bus: drive.bus,
            kind: drive.kind,
            removable: drive.removable,
            hotplug: drive.hotplug,
            read_only: drive.read_only,
            content: (&drive.content).into(),
            partitions: seen.chain(found).map(part).collect(),
            backing,
            backing_base64: backing_base64.flatten(),
            ids: drive.ids.iter().map(|id| id.to_string_lossy().into_owned()).collect(),
            eligibility: eligibility.to_owned(),
            reasons,
        }
    }
}

impl From<&drives::Content> for Content {
    fn from(content: &drives::Content) -> Self {
        Self { kind: content.kind.clone(), label: content.label.clone(), used_bytes: content.used }
    }
}

impl Reason {
    fn new(reason: &str, text: String) -> Self {
        Self { reason: reason.to_owned(), text, mount_point: None, mount_point_base64: None, pid: None }
    }
}

impl From<&Needs> for Reason {
    fn from(needs: &Needs) -> Self {
        let reason = match needs {
            Needs::Fixed(_) => "fixed",
            Needs::Loop => "loop",
            Needs::Small(_) => "small",
            Needs::Large(_) => "large",
        };
        Self::new(reason, needs.to_string())
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        let new = |reason| Self::new(reason, refusal.to_string());
        match refusal {
            Refusal::Used(used) => match &used.by {
                By::Mount(at) => {
                    let (mount_point, mount_point_base64) = text(at);
                    Self { mount_point: Some(mount_point), mount_point_base64, ..new("mounted") }
                }
                By::Swap => new("swap"),
                By::Holder => new("held"),
                By::Process { pid, .. } => Self { pid: Some(*pid), ..new("open") },
                By::Own(_) => new("own"),
            },
            Refusal::NoDrive(_) => new("no-drive"),
            Refusal::Empty => new("empty"),
            Refusal::ReadOnly => new("read-only"),
            Refusal::TooSmall { .. } => new("too-small"),
        }
    }
}
