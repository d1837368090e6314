//! The checksums of what growth writes: `Documentation/filesystems/ext4/checksums.rst`.

use fs_ext4::checksum::{Checksummer, crc16, linux_crc32c};

use super::super::geometry::Geometry;
use super::super::superblock::UUID;

/// Where a descriptor and a superblock keep their own.
const OF_DESCRIPTOR: usize = 0x1e;
const OF_SUPERBLOCK: usize = 0x3fc;

/// Which checksums a file system has.
#[derive(Clone, Copy)]
pub(super) enum Checksums {
    /// None.
    None,
    /// 16 bits in each descriptor (`uninit_bg`), over the UUID first.
    Descriptors([u8; 16]),
    /// crc32c in everything (`metadata_csum`), with what it begins with.
    All(u32),
}

impl Checksums {
    /// Those of the file system with this superblock.
    pub(super) fn of(geometry: &Geometry, superblock: &[u8]) -> Self {
        match geometry.superblock.checksum_seed {
            Some(seed) => Self::All(seed),
            None if geometry.has_checksums() => {
                let mut uuid = [0; 16];
                uuid.copy_from_slice(&superblock[UUID]);
                Self::Descriptors(uuid)
            }
            None => Self::None,
        }
    }

    fn of_descriptor(self, group: u32, raw: &[u8]) -> Option<u16> {
        let (before, after) = (&raw[..OF_DESCRIPTOR], &raw[OF_DESCRIPTOR + 2..]);
        match self {
            Self::None => None,
            Self::Descriptors(uuid) => {
                let sum = [&uuid, &group.to_le_bytes()[..], before, after].into_iter().fold(!0, crc16);
                Some(sum)
            }
            Self::All(seed) => {
                let parts = [&group.to_le_bytes()[..], before, &[0, 0], after];
                // of the 32 bits the lower half is kept
                Some(parts.into_iter().fold(seed, linux_crc32c) as u16)
            }
        }
    }

    /// Whether a descriptor is as it was written.
    pub(super) fn is_right_descriptor(self, group: u32, raw: &[u8]) -> bool {
        let stored = u16::from_le_bytes([raw[OF_DESCRIPTOR], raw[OF_DESCRIPTOR + 1]]);
        self.of_descriptor(group, raw).is_none_or(|sum| sum == stored)
    }

    /// Makes a descriptor's own checksum right.
    pub(super) fn set_descriptor(self, group: u32, raw: &mut [u8]) {
        if let Some(sum) = self.of_descriptor(group, raw) {
            raw[OF_DESCRIPTOR..OF_DESCRIPTOR + 2].copy_from_slice(&sum.to_le_bytes());
        }
    }

    /// Of a bitmap, over the part that stands for `count` blocks or inodes.
    pub(super) fn of_bitmap(self, bitmap: &[u8], count: u64) -> Option<u32> {
        match self {
            Self::All(seed) => bitmap.get(..(count / 8) as usize).map(|used| linux_crc32c(seed, used)),
            _ => None,
        }
    }

    /// Whether a superblock is as it was written.
    pub(super) fn is_right_superblock(self, raw: &[u8]) -> bool {
        !matches!(self, Self::All(_)) || raw[OF_SUPERBLOCK..OF_SUPERBLOCK + 4] == of_superblock(raw)
    }

    /// Makes a superblock's checksum right.
    pub(super) fn set_superblock(self, raw: &mut [u8]) {
        if matches!(self, Self::All(_)) {
            let sum = of_superblock(raw);
            raw[OF_SUPERBLOCK..OF_SUPERBLOCK + 4].copy_from_slice(&sum);
        }
    }

    /// Of an inode: the lower and, where it has one, the upper half.
    pub(super) fn of_inode(self, number: u32, generation: u32, raw: &[u8]) -> Option<(u16, u16)> {
        let Self::All(seed) = self else { return None };
        Checksummer { seed, enabled: true }.compute_inode_checksum(number, generation, raw)
    }
}

/// The seed may be in the superblock, so its own begins with none.
fn of_superblock(raw: &[u8]) -> [u8; 4] {
    linux_crc32c(!0, &raw[..OF_SUPERBLOCK]).to_le_bytes()
}
