//! The BIOS parameter block of a FAT file system: what decides whether it may be edited.
//!
//! Field offsets are those of Microsoft's "FAT: General Overview of On-Disk Format", 1.03.

use super::super::Error;
use crate::disk::ReadAt;
use crate::io::le;

/// From this number of clusters on a file system is FAT32; below, FAT16 or FAT12.
const FAT32_CLUSTERS: u64 = 65_525;
const FAT16_CLUSTERS: u64 = 4_085;

/// Geometry and label of a FAT file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bpb {
    /// FAT32, as opposed to FAT16.
    pub fat32: bool,
    /// The label in the boot sector, without the padding; tools keep a second one in the root directory.
    pub label: String,
    /// Bytes that the file system says it has.
    pub len: u64,
    /// First byte of the first file allocation table.
    pub fat_offset: u64,
    /// Bytes in a cluster.
    pub cluster_len: u64,
    /// Clusters that can hold data; they are numbered from 2 on.
    pub clusters: u64,
    /// First byte of cluster 2.
    pub data_offset: u64,
    /// Where the root directory is.
    pub root: RootDirectory,
    dirty: bool,
    mirrored: bool,
}

/// In the extended flags of FAT32: only one of the tables is kept up to date.
const NO_MIRRORING: u16 = 0x80;

/// Where a FAT's root directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootDirectory {
    /// FAT32: a chain of clusters, from this one on.
    Chain(u64),
    /// FAT16: this many bytes from this offset on.
    Fixed {
        /// First byte.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
}

/// What an entry of the allocation table says; 0 is a free cluster. The top four bits of an entry of FAT32 are
/// not its.
pub(super) fn table_entry(raw: &[u8]) -> u64 {
    let wide = le::u32(raw, 0).map(|entry| entry & 0x0fff_ffff);
    u64::from(wide.or_else(|| le::u16(raw, 0).map(u32::from)).unwrap_or_default())
}

impl Bpb {
    /// Reads and checks the boot sector of the file system in `device`.
    ///
    /// # Errors
    /// [`Error::NotThere`] if there is no FAT, or one that contradicts itself.
    pub fn read(device: &dyn ReadAt) -> Result<Self, Error> {
        let absent = |why: &str| Error::NotThere { wanted: "FAT", why: why.to_owned() };
        let failed = |e| Error::io("reading the FAT boot sector", e);
        if device.len() < 512 {
            return Err(absent("the partition is smaller than a boot sector"));
        }
        let mut raw = [0; 512];
        device.read_at(0, &mut raw).map_err(failed)?;
        let short = || absent("its boot sector is cut short");
        let u16_at = |at| le::u16(&raw, at).map(u64::from).ok_or_else(short);
        let u32_at = |at| le::u32(&raw, at).map(u64::from).ok_or_else(short);
        let either = |short: u64, long: u64| if short != 0 { short } else { long };
        if raw[510..] != [0x55, 0xaa] {
            return Err(absent("its boot sector has no signature"));
        }
        let (sector, cluster) = (u16_at(0x0b)?, u64::from(raw[0x0d]));
        if ![512, 1024, 2048, 4096].contains(&sector) || !cluster.is_power_of_two() {
            return Err(absent("its sector or cluster size is impossible"));
        }
        let (reserved, fats, root_entries) = (u16_at(0x0e)?, u64::from(raw[0x10]), u16_at(0x11)?);
        let sectors = either(u16_at(0x13)?, u32_at(0x20)?);
        let fat_sectors = either(u16_at(0x16)?, u32_at(0x24)?);
        let overhead = reserved + fats * fat_sectors + (root_entries * 32).div_ceil(sector);
        if reserved == 0 || fats == 0 || fat_sectors == 0 || overhead >= sectors {
            return Err(absent("its boot sector is inconsistent"));
        }
        let clusters = (sectors - overhead) / cluster;
        if clusters < FAT16_CLUSTERS {
            return Err(absent("it is FAT12, which no Raspberry Pi boots from"));
        }
        let fat32 = clusters >= FAT32_CLUSTERS;
        let (flags_at, label_at, entry_len) = if fat32 { (0x41, 0x47, 4) } else { (0x25, 0x2b, 2) };
        let (fat_offset, len) = (reserved * sector, sectors * sector);
        if len > device.len() || fat_sectors * sector < (clusters + 2) * entry_len {
            return Err(absent("it is larger than its partition or its allocation table"));
        }

        // The second entry of the table has no cluster; its top bits say "unmounted" and "no errors".
        let mut entry = [0; 4];
        device.read_at(fat_offset + entry_len, &mut entry).map_err(failed)?;
        let entry = u32::from_le_bytes(entry);
        let clean_bits = if fat32 { 0x0c00_0000 } else { 0xc000 };
        let dirty = raw[flags_at] & 3 != 0 || entry & clean_bits != clean_bits;
        let label = String::from_utf8_lossy(&raw[label_at..label_at + 11]).trim_end().to_owned();
        let root_len = root_entries * 32;
        let root_offset = (reserved + fats * fat_sectors) * sector;
        let root = match fat32 {
            true => RootDirectory::Chain(u32_at(0x2c)?),
            false => RootDirectory::Fixed { offset: root_offset, len: root_len },
        };
        Ok(Self {
            fat32,
            label,
            len,
            fat_offset,
            cluster_len: cluster * sector,
            clusters,
            data_offset: overhead * sector,
            root,
            dirty,
            mirrored: !fat32 || u16_at(0x28)? & u64::from(NO_MIRRORING) == 0,
        })
    }

    /// Bytes in an entry of the allocation table.
    pub(super) fn entry_len(&self) -> u64 {
        if self.fat32 { 4 } else { 2 }
    }

    /// Refuses a file system of which the first table is not the one that counts.
    ///
    /// # Errors
    /// [`Error::Incompatible`]
    pub(super) fn check_tables(&self) -> Result<(), Error> {
        if self.mirrored {
            return Ok(());
        }
        Err(Error::Incompatible { fs: "FAT", features: "tables that are not mirrored".into() })
    }

    /// Refuses a file system that was not unmounted, or whose tables are not kept alike.
    ///
    /// # Errors
    /// [`Error::NotClean`], [`Error::Incompatible`]
    pub fn check_editable(&self) -> Result<(), Error> {
        if self.dirty {
            return Err(Error::NotClean {
                fs: "FAT",
                why: "it was not unmounted, or had errors",
                repair: "fsck.fat",
            });
        }
        self.check_tables()
    }
}
