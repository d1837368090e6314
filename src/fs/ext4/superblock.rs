//! The few fields of an ext4 superblock that decide whether the file system may be edited.
//!
//! Read by hand, and before the editor opens the file system: on opening it replays a pending
//! journal by itself. Field offsets are those of the kernel's `Documentation/filesystems/ext4/super.rst`.

use fs_ext4::features;

use super::super::Error;
use crate::disk::BlockDevice;

/// Where the superblock begins, whatever the block size.
const OFFSET: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;
const STATE_VALID: u16 = 1;
const STATE_ERRORS: u16 = 2;
const STATE_ORPHANS: u16 = 4;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_COMPAT_ORPHAN_PRESENT: u32 = 0x10000;

/// What a superblock says of its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The volume label, up to the first NUL.
    pub label: String,
    /// Bytes in a block.
    pub block_size: u64,
    /// Blocks in the file system.
    pub blocks: u64,
    state: u16,
    last_orphan: u32,
    incompat: u32,
    ro_compat: u32,
}

impl Superblock {
    /// Reads the superblock of the file system in `device`.
    ///
    /// # Errors
    /// [`Error::NotThere`] if there is none.
    pub fn read(device: &dyn BlockDevice) -> Result<Self, Error> {
        let absent = |why: &str| Error::NotThere { wanted: "ext4", why: why.to_owned() };
        if device.len() < OFFSET + LEN as u64 {
            return Err(absent("the partition is smaller than a superblock"));
        }
        let mut raw = [0; LEN];
        device.read_at(OFFSET, &mut raw).map_err(|e| Error::io("reading the ext4 superblock", e))?;
        let u16_at = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        if u16_at(0x38) != MAGIC {
            return Err(absent("its superblock has no magic number"));
        }
        let incompat = u32_at(0x60);
        let high = if incompat & INCOMPAT_64BIT != 0 { u64::from(u32_at(0x150)) << 32 } else { 0 };
        // 1 KiB to 64 KiB is all that the kernel knows
        let shift =
            Some(u32_at(0x18)).filter(|s| *s <= 6).ok_or_else(|| absent("its block size is impossible"))?;
        let label = raw[0x78..0x88].split(|b| *b == 0).next().unwrap_or_default();
        Ok(Self {
            label: String::from_utf8_lossy(label).into_owned(),
            block_size: 1024 << shift,
            blocks: high | u64::from(u32_at(0x04)),
            state: u16_at(0x3a),
            last_orphan: u32_at(0xe8),
            incompat,
            ro_compat: u32_at(0x64),
        })
    }

    /// Refuses a file system that must not be edited: pending, damaged, larger than its partition
    /// of `len` bytes, or with features that the editor does not keep right.
    ///
    /// # Errors
    /// [`Error::NotClean`], [`Error::Incompatible`], [`Error::Corrupt`]
    pub fn check_editable(&self, len: u64) -> Result<(), Error> {
        let unclean = |why| Err(Error::NotClean { fs: "ext4", why, repair: "e2fsck" });
        if self.incompat & INCOMPAT_RECOVER != 0 {
            return unclean("its journal holds changes that were never written back");
        }
        if self.state & STATE_ERRORS != 0 {
            return unclean("the kernel found errors in it");
        }
        if self.state & STATE_VALID == 0 {
            return unclean("it was not unmounted");
        }
        let orphans = self.state & STATE_ORPHANS != 0 || self.ro_compat & RO_COMPAT_ORPHAN_PRESENT != 0;
        if self.last_orphan != 0 || orphans {
            return unclean("files that were deleted while open still wait to be freed");
        }
        let unreadable = self.incompat & !features::SUPPORTED_INCOMPAT;
        let unwritable = features::write_breaking_incompat(self.incompat);
        let unmaintained = features::unmaintained_ro_compat(self.ro_compat);
        if unreadable | unwritable | unmaintained != 0 {
            let mut names = flag_names::<features::Incompat>(unreadable | unwritable, "incompat");
            names.extend(flag_names::<features::RoCompat>(unmaintained, "ro_compat"));
            return Err(Error::Incompatible { fs: "ext4", features: names.join(", ") });
        }
        if self.blocks.checked_mul(self.block_size).is_none_or(|bytes| bytes > len) {
            let why = format!(
                "it has {} blocks of {} bytes, its partition only {len} bytes",
                self.blocks, self.block_size
            );
            return Err(Error::Corrupt { path: "the ext4 superblock".into(), why });
        }
        Ok(())
    }
}

/// The names of the known bits, and the rest as a number.
fn flag_names<F: bitflags::Flags<Bits = u32>>(bits: u32, word: &str) -> Vec<String> {
    let known = F::from_bits_truncate(bits);
    let mut names: Vec<String> = known.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    if bits & !known.bits() != 0 {
        names.push(format!("unknown {word} bits {:#x}", bits & !known.bits()));
    }
    names
}
