//! Whether a drive may be written, and why.

use std::fmt;
use std::path::Path;

use super::{Bus, By, Drive, Kind, Use};
use crate::io::sold_size;

/// Below this a drive is no card for a node: what is sold as 4 GB has a little less.
const SMALLEST: u64 = 3_600_000_000;
/// Above this a drive is more likely somebody's data than a card: what is sold as 256 GB has at
/// most 256 GiB.
const LARGEST: u64 = 256 << 30;
/// How many uses are named before the rest is counted.
const NAMED: usize = 3;

/// What a drive is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A card, or nobody said that it is a disk.
    Card,
    /// A disk that a node starts from: any size will do.
    Disk,
}

/// Whether a drive may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eligibility {
    /// It looks like a card, and nobody uses it.
    Allowed,
    /// Nobody uses it, but it does not look like a card: `--allow-fixed` says that it is meant.
    NeedsAllowFixed(Vec<Needs>),
    /// Never, whatever flags are given.
    Refused(Vec<Refusal>),
}

/// Why a drive does not look like a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// It is built in.
    Fixed(Bus),
    /// It is a loop device.
    Loop,
    /// It is smaller than any card that is sold.
    Small(u64),
    /// It is larger than a card for a node.
    Large(u64),
}

/// Why a drive is never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is used.
    Used(Use),
    /// It is no drive.
    NoDrive(Kind),
    /// The reader holds no card.
    Empty,
    /// It cannot be written.
    ReadOnly,
    /// What is to be written does not fit.
    TooSmall {
        /// Bytes that it has.
        size: u64,
        /// Bytes that are to be written.
        needed: u64,
    },
}

impl Eligibility {
    /// Decides whether `drive` may be written for this `purpose`, and get `needed` bytes; `None` where that is not known yet.
    #[must_use]
    pub fn of(drive: &Drive, purpose: Purpose, needed: Option<u64>) -> Self {
        let mut refusals: Vec<Refusal> = drive.uses.iter().cloned().map(Refusal::Used).collect();
        match drive.kind {
            Kind::Disk | Kind::Loop => {
                if drive.size == 0 {
                    refusals.push(Refusal::Empty);
                } else if drive.read_only {
                    refusals.push(Refusal::ReadOnly);
                }
            }
            kind => refusals.push(Refusal::NoDrive(kind)),
        }
        if let Some(needed) = needed.filter(|needed| drive.size > 0 && drive.size < *needed) {
            refusals.push(Refusal::TooSmall { size: drive.size, needed });
        }
        if !refusals.is_empty() {
            return Self::Refused(refusals);
        }
        let mut needs = Vec::new();
        let card_like = drive.removable || (drive.hotplug && matches!(drive.bus, Bus::Usb | Bus::Sd));
        if drive.kind == Kind::Loop {
            needs.push(Needs::Loop);
        } else if !card_like {
            needs.push(Needs::Fixed(drive.bus));
        }
        if drive.size < SMALLEST {
            needs.push(Needs::Small(drive.size));
        } else if drive.size > LARGEST && purpose == Purpose::Card {
            needs.push(Needs::Large(drive.size));
        }
        if needs.is_empty() { Self::Allowed } else { Self::NeedsAllowFixed(needs) }
    }

    /// The file systems that a desktop mounted by itself, where they are all that stands in the way.
    #[must_use]
    pub fn only_automounts(&self) -> Option<Vec<&Use>> {
        let Self::Refused(refusals) = self else { return None };
        refusals
            .iter()
            .map(|refusal| match refusal {
                Refusal::Used(used) if used.is_automount() => Some(used),
                _ => None,
            })
            .collect()
    }
}

impl Use {
    /// Whether it is a mount that a desktop made by itself.
    #[must_use]
    pub fn is_automount(&self) -> bool {
        let By::Mount(at) = &self.by else { return false };
        ["/media", "/run/media", "/Volumes"]
            .iter()
            .any(|dir| at.starts_with(dir) && at.as_path() != Path::new(dir))
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(bus) => write!(f, "a built-in drive ({bus})"),
            Self::Loop => f.write_str("a loop device"),
            Self::Small(size) => write!(f, "only {}, less than any card", sold_size(*size)),
            Self::Large(size) => {
                write!(
                    f,
                    "{}, more than any card for a node; boot-from in pibake.toml says that a disk is meant",
                    sold_size(*size)
                )
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used(used) => used.fmt(f),
            Self::NoDrive(kind) => f.write_str(match kind {
                Kind::Optical => "an optical drive",
                Kind::Floppy => "a floppy drive",
                Kind::BootArea => "the boot area of an eMMC",
                Kind::Volume => "a volume of the device mapper, not a drive",
                Kind::Raid => "an array, not a drive",
                Kind::Memory => "memory, not a drive",
                Kind::Disk | Kind::Loop => "not a drive",
            }),
            Self::Empty => f.write_str("no card in the reader"),
            Self::ReadOnly => f.write_str("read-only (the lock switch of an SD card?)"),
            Self::TooSmall { size, needed } => {
                write!(f, "too small: it has {size} bytes, and the image {needed}")
            }
        }
    }
}

impl fmt::Display for Eligibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("yes"),
            Self::NeedsAllowFixed(needs) => {
                let needs: Vec<_> = needs.iter().map(ToString::to_string).collect();
                write!(f, "only with --allow-fixed: {}", needs.join("; "))
            }
            Self::Refused(refusals) => {
                let shown: Vec<_> = refusals.iter().take(NAMED).map(ToString::to_string).collect();
                write!(f, "no: {}", shown.join("; "))?;
                match refusals.len().saturating_sub(NAMED) {
                    0 => {}
                    more => write!(f, "; and {more} more")?,
                }
                if self.only_automounts().is_some() {
                    f.write_str(" (--unmount unmounts it)")?;
                }
                Ok(())
            }
        }
    }
}
