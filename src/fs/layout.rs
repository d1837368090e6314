//! Which partition is which: found by what they hold, never by where they lie.

use std::io;
use std::sync::Arc;

use super::Error;
use super::ext4::Superblock;
use super::fat::{Bpb, FatView};
use crate::disk::{Kind, Partition, ReadAt, Window};

/// Volume labels of Ubuntu's Pi images, which cloud-init and fstab look for as well.
const BOOT_LABEL: &str = "system-boot";
const ROOT_LABEL: &str = "writable";

/// The two partitions of a Pi image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// FAT, read by the firmware.
    pub boot: Partition,
    /// ext4, mounted on `/`.
    pub root: Partition,
}

/// Finds the boot and the root partition: by label, or where no label fits, the only one of its type.
///
/// # Errors
/// [`Error::NoSuchPartition`], or what reading a boot sector answers.
pub fn find(device: &Arc<dyn ReadAt>, partitions: &[Partition]) -> Result<Layout, Error> {
    let labels: Vec<String> = partitions.iter().map(|p| label(device, p)).collect::<Result<_, _>>()?;
    let pick = |wanted: &'static str, label: &str, kind: Kind| {
        let by_label = partitions.iter().zip(&labels).filter(|(_, l)| l.eq_ignore_ascii_case(label));
        let mut found: Vec<&Partition> = by_label.map(|(p, _)| p).collect();
        if found.is_empty() {
            found = partitions.iter().filter(|p| p.kind == kind).collect();
        }
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            _ => Err(Error::NoSuchPartition { wanted, found: describe(partitions, &labels) }),
        }
    };
    Ok(Layout {
        boot: pick("FAT partition labelled system-boot", BOOT_LABEL, Kind::Fat)?,
        root: pick("ext4 partition labelled writable", ROOT_LABEL, Kind::Linux)?,
    })
}

impl Partition {
    /// The bytes of this partition as a device of their own.
    ///
    /// # Errors
    /// [`Error::Io`] if it reaches outside `device`.
    pub fn open<D: ReadAt>(&self, device: D) -> Result<Window<D>, Error> {
        let opening = |e: io::Error| Error::io(format!("opening partition {}", self.number), e);
        Window::new(device, self.offset, self.len).map_err(opening)
    }
}

/// The volume label of what is in a partition; empty where nothing known is.
fn label(device: &Arc<dyn ReadAt>, partition: &Partition) -> Result<String, Error> {
    let window = partition.open(Arc::clone(device))?;
    match Superblock::read(&window) {
        Ok(found) => return Ok(found.label),
        Err(Error::NotThere { .. }) => {}
        Err(e) => return Err(e),
    }
    match Bpb::read(&window) {
        // one that is not clean is found here too, and refused where it is opened
        Ok(bpb) if bpb.check_editable().is_err() => Ok(bpb.label),
        Ok(_) => FatView::open(window)?.label(),
        Err(Error::NotThere { .. }) => Ok(String::new()),
        Err(e) => Err(e),
    }
}

fn describe(partitions: &[Partition], labels: &[String]) -> String {
    let each = partitions.iter().zip(labels).map(|(p, label)| {
        let label = if label.is_empty() { "no label" } else { label };
        format!("{} ({:?}, {label})", p.number, p.kind)
    });
    each.collect::<Vec<_>>().join(", ")
}
