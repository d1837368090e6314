//! Partition tables: MBR and GPT.

mod enlarge;
mod gpt;
mod gpt_edit;
mod identity;
mod mbr;
mod read;

pub use enlarge::enlarge;
pub use identity::{DiskId, PartitionId, identify, partition_id};

use std::io;
use std::ops::Range;

pub use read::partitions;

use crate::error::{Classified, ErrorClass};

/// Sector size that image files are laid out in. Tables count in sectors, and an image file does
/// not say how long one is; every SD card has 512 bytes.
pub const SECTOR: u64 = 512;

/// A partition, as its table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number as Linux counts it: p1, p2, …
    pub number: u32,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// What the table says is in it.
    pub kind: Kind,
}

/// What a partition table says is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FAT or an EFI system partition.
    Fat,
    /// A Linux file system.
    Linux,
    /// Anything else.
    Other,
}

/// Which table a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The PC's master boot record: four primary partitions and chains of logical ones.
    Mbr,
    /// The GUID partition table of the UEFI specification.
    Gpt,
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mbr => "MBR",
            Self::Gpt => "GPT",
        })
    }
}

/// Why a disk's partitions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Reading the table failed.
    #[error("reading the partition table")]
    Read(#[source] io::Error),
    /// Writing the table failed.
    #[error("writing the partition table")]
    Write(#[source] io::Error),
    /// A partition cannot be made larger.
    #[error("partition {number} cannot be made larger: {why}")]
    Fixed {
        /// The partition.
        number: u32,
        /// What stands against it.
        why: String,
    },
    /// Neither an MBR nor a GPT is there.
    #[error("there is no partition table: this is not the image of a whole card")]
    None,
    /// The table contradicts itself or fails its checksums.
    #[error("the {scheme} partition table is damaged: {why}; take a fresh image")]
    Damaged {
        /// Which table.
        scheme: Scheme,
        /// What is wrong with it.
        why: String,
    },
    /// A partition does not lie within the disk.
    #[error(
        "partition {number} (bytes {range:?}) reaches outside the disk of {len} bytes: the image is cut short or its table is damaged"
    )]
    Outside {
        /// The partition.
        number: u32,
        /// What it claims.
        range: Range<u64>,
        /// What there is.
        len: u64,
    },
    /// Two partitions share bytes.
    #[error("partitions {first} and {second} overlap: the partition table is damaged")]
    Overlap {
        /// The one that starts earlier.
        first: u32,
        /// The one that starts later.
        second: u32,
    },
}

impl Classified for TableError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(source) | Self::Write(source) => ErrorClass::of_io(source),
            Self::Fixed { .. } => ErrorClass::Refused,
            Self::None => ErrorClass::Usage,
            Self::Damaged { .. } | Self::Outside { .. } | Self::Overlap { .. } => ErrorClass::Damaged,
        }
    }
}

#[cfg(test)]
mod tests;
