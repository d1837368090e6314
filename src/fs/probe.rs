//! What a drive or a partition holds, by the numbers that file systems and the like begin with.
//!
//! For people, not for editing: asked where udev knows nothing, as in containers and small systems.
//! Names of kinds are those of `blkid` and udev. Offsets and numbers are those of each format's own
//! definition, and agree with util-linux (`libblkid/src/superblocks`).

use std::io;

use super::ext4::Superblock;
use super::fat::Bpb;
use crate::disk::{self, ReadAt, Scheme, Window};
use crate::io::{be, le};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// `ext4`, `vfat`, `LVM2_member`, `dos` and so on.
    pub kind: &'static str,
    /// The label, where there is one.
    pub label: Option<String>,
    /// Bytes that its files take, where the first blocks tell.
    pub used: Option<u64>,
    /// Partitions, where it has a table.
    pub partitions: Vec<Option<Probed>>,
}

/// Where a magic number is.
#[derive(Debug, Clone, Copy)]
enum At {
    Start(u64),
    /// From the end, rounded down to 64 KiB first, as md has it.
    RaidEnd,
}

/// How a label is written.
#[derive(Debug, Clone, Copy)]
enum Label {
    None,
    /// Bytes, up to a NUL or padded with blanks: offset and length.
    Bytes(u64, usize),
    /// UTF-16, little-endian: offset and length in bytes.
    Wide(u64, usize),
}

struct Magic {
    kind: &'static str,
    at: At,
    bytes: &'static [u8],
    label: Label,
}

const fn magic(kind: &'static str, at: u64, bytes: &'static [u8], label: Label) -> Magic {
    Magic { kind, at: At::Start(at), bytes, label }
}

/// In the order of trying: what stands over or beside something else comes first.
const MAGICS: &[Magic] = &[
    magic("crypto_LUKS", 0, b"LUKS\xba\xbe\0\x01", Label::None),
    // only the second version has a label
    magic("crypto_LUKS", 0, b"LUKS\xba\xbe\0\x02", Label::Bytes(24, 48)),
    magic("LVM2_member", 512 + 24, b"LVM2 001", Label::None),
    magic("LVM2_member", 24, b"LVM2 001", Label::None),
    magic("LVM2_member", 1024 + 24, b"LVM2 001", Label::None),
    magic("LVM2_member", 1536 + 24, b"LVM2 001", Label::None),
    magic("linux_raid_member", 4096, &[0xfc, 0x4e, 0x2b, 0xa9], Label::Bytes(4096 + 32, 32)),
    magic("linux_raid_member", 0, &[0xfc, 0x4e, 0x2b, 0xa9], Label::Bytes(32, 32)),
    Magic {
        kind: "linux_raid_member",
        at: At::RaidEnd,
        bytes: &[0xfc, 0x4e, 0x2b, 0xa9],
        label: Label::None,
    },
    magic("BitLocker", 3, b"-FVE-FS-", Label::None),
    magic("ntfs", 3, b"NTFS    ", Label::None),
    magic("exfat", 3, b"EXFAT   ", Label::None),
    magic("btrfs", 0x10040, b"_BHRfS_M", Label::Bytes(0x1012b, 256)),
    magic("xfs", 0, b"XFSB", Label::Bytes(108, 12)),
    magic("f2fs", 1024, &[0x10, 0x20, 0xf5, 0xf2], Label::Wide(1024 + 0x7c, 512)),
    magic("swap", 4086, b"SWAPSPACE2", Label::Bytes(1024 + 28, 16)),
    magic("swap", 65536 - 10, b"SWAPSPACE2", Label::Bytes(1024 + 28, 16)),
    magic("swap", 16384 - 10, b"SWAPSPACE2", Label::Bytes(1024 + 28, 16)),
    magic("iso9660", 0x8001, b"CD001", Label::Bytes(0x8028, 32)),
    magic("squashfs", 0, b"hsqs", Label::None),
    magic("erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0], Label::Bytes(1024 + 64, 16)),
    magic("hfsplus", 1024, b"H+\0\x04", Label::None),
    magic("hfsplus", 1024, b"HX\0\x05", Label::None),
    magic("apfs", 32, b"NXSB", Label::None),
    magic(
        "bcachefs",
        4096 + 24,
        &[0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca],
        Label::Bytes(4096 + 72, 32),
    ),
];

/// What is in `device`; `None` for nothing that is known.
///
/// # Errors
/// What the device answers.
pub fn probe(device: &dyn ReadAt) -> io::Result<Option<Probed>> {
    if let Some(partitions) = partitions(device)? {
        return Ok(Some(partitions));
    }
    alone(device)
}

/// What is in `device`, but for a table of partitions.
fn alone(device: &dyn ReadAt) -> io::Result<Option<Probed>> {
    for magic in MAGICS {
        let at = match magic.at {
            At::Start(at) => Some(at),
            // the kernel's md_p.h: MD_NEW_SIZE_SECTORS
            At::RaidEnd => (device.len() & !0xffff).checked_sub(0x10000),
        };
        let Some(at) = at else { continue };
        if bytes(device, at, magic.bytes.len())?.as_deref() == Some(magic.bytes) {
            let label = label(device, magic.kind, magic.label)?;
            let used = used(device, magic.kind)?;
            return Ok(Some(Probed { kind: magic.kind, label, used, partitions: Vec::new() }));
        }
    }
    if let Ok(ext) = Superblock::read(device) {
        let label = Some(ext.label.clone()).filter(|label| !label.is_empty());
        let used = ext.blocks.checked_sub(ext.free_blocks).and_then(|n| n.checked_mul(ext.block_size));
        return Ok(Some(Probed { kind: ext.kind(), label, used, partitions: Vec::new() }));
    }
    if zfs(device)? {
        return Ok(Some(Probed { kind: "zfs_member", label: None, used: None, partitions: Vec::new() }));
    }
    fat(device)
}

/// FAT has no magic number: a boot sector that makes sense is what there is.
fn fat(device: &dyn ReadAt) -> io::Result<Option<Probed>> {
    let found = |label: String| {
        let label = Some(label).filter(|label| !label.is_empty() && label != "NO NAME");
        Probed { kind: "vfat", label, used: None, partitions: Vec::new() }
    };
    match Bpb::read(device) {
        Ok(bpb) => Ok(Some(found(bpb.label))),
        Err(super::Error::Io { source, .. }) => Err(source),
        // FAT12, which is not edited, has its name and its label where FAT16 has them
        Err(_) if bytes(device, 0x36, 5)?.as_deref() == Some(b"FAT12") => {
            let label = text(device, Label::Bytes(0x2b, 11))?.unwrap_or_default();
            Ok(Some(found(label)))
        }
        Err(_) => Ok(None),
    }
}

/// A table of partitions, and what is in each.
fn partitions(device: &dyn ReadAt) -> io::Result<Option<Probed>> {
    let named = |kind| Probed { kind, label: None, used: None, partitions: Vec::new() };
    let (scheme, found) = match disk::partitions(device) {
        Ok(found) => found,
        Err(disk::TableError::Read(error)) => return Err(error),
        // one that cannot be used is still there, unless it is a boot sector of something else
        Err(_) if alone(device)?.is_some() => return Ok(None),
        Err(disk::TableError::None) => {
            let begins = bytes(device, 512, 8)?;
            let ends = device.len().checked_sub(512).map(|at| bytes(device, at, 8)).transpose()?.flatten();
            let gpt = [begins, ends].iter().any(|b| b.as_deref() == Some(b"EFI PART"));
            return Ok(gpt.then(|| named("gpt")));
        }
        Err(disk::TableError::Damaged { scheme: Scheme::Gpt, .. }) => return Ok(Some(named("gpt"))),
        Err(_) => return Ok(Some(named("dos"))),
    };
    let kind = match scheme {
        Scheme::Mbr => "dos",
        Scheme::Gpt => "gpt",
    };
    let within = found.iter().map(|partition| match Window::new(device, partition.offset, partition.len) {
        Ok(window) => alone(&window),
        Err(_) => Ok(None),
    });
    Ok(Some(Probed { partitions: within.collect::<io::Result<_>>()?, ..named(kind) }))
}

/// One of the uberblocks of the first label, which begin at 128 KiB.
fn zfs(device: &dyn ReadAt) -> io::Result<bool> {
    const UBERBLOCKS: u64 = 128 << 10;
    const MAGIC: u64 = 0x00ba_b10c;
    for n in 0..128 {
        let Some(found) = bytes(device, UBERBLOCKS + n * 1024, 8)? else { return Ok(false) };
        if [le::u64(&found, 0), be::u64(&found, 0)].contains(&Some(MAGIC)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn label(device: &dyn ReadAt, kind: &str, label: Label) -> io::Result<Option<String>> {
    match kind {
        "exfat" => exfat_label(device),
        "ntfs" => ntfs_label(device),
        _ => text(device, label),
    }
}

fn text(device: &dyn ReadAt, label: Label) -> io::Result<Option<String>> {
    let text = match label {
        Label::None => None,
        Label::Bytes(at, len) => bytes(device, at, len)?.map(|raw| {
            String::from_utf8_lossy(raw.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
        }),
        Label::Wide(at, len) => bytes(device, at, len)?.map(|raw| wide(&raw)),
    };
    Ok(text.map(|text| text.trim_end().to_owned()).filter(|text| !text.is_empty()))
}

fn wide(raw: &[u8]) -> String {
    String::from_utf16_lossy(&le::units(raw).take_while(|unit| *unit != 0).collect::<Vec<_>>())
}

/// The entry of type 0x83 in the root directory (Microsoft's "exFAT file system specification").
fn exfat_label(device: &dyn ReadAt) -> io::Result<Option<String>> {
    let Some(boot) = bytes(device, 0, 512)? else { return Ok(None) };
    let Some((heap, root)) = le::u32(&boot, 88).zip(le::u32(&boot, 96)) else { return Ok(None) };
    let (heap, root, sector, cluster) = (u64::from(heap), u64::from(root), boot[108], boot[109]);
    if !(9..=12).contains(&sector) || cluster > 25 - sector || root < 2 {
        return Ok(None);
    }
    let at = (heap << sector) + ((root - 2) << (sector + cluster));
    let Some(entries) = bytes(device, at, 512)? else { return Ok(None) };
    let entry = entries.chunks_exact(32).take_while(|e| e[0] != 0).find(|e| e[0] == 0x83);
    Ok(entry.map(|e| wide(&e[2..2 + 2 * usize::from(e[1].min(11))])).filter(|label| !label.is_empty()))
}

/// The attribute $VOLUME_NAME of the file record number 3, $Volume.
fn ntfs_label(device: &dyn ReadAt) -> io::Result<Option<String>> {
    const VOLUME_NAME: u32 = 0x60;
    let Some(boot) = bytes(device, 0, 512)? else { return Ok(None) };
    let Some((sector, first)) = le::u16(&boot, 11).zip(le::u64(&boot, 48)) else { return Ok(None) };
    let sector = u64::from(sector);
    let power = |n: u8| (n < 32).then(|| 1_u64 << n);
    // a negative number is a power of two
    let cluster = match boot[13] {
        n @ ..=128 => Some(u64::from(n) * sector),
        n => power(n.wrapping_neg()).map(|n| n * sector),
    };
    let record = match boot[64].cast_signed() {
        n @ 1.. => cluster.map(|c| c * u64::from(n.unsigned_abs())),
        n => power(n.unsigned_abs()),
    };
    let at = || {
        let record = record.filter(|len| (512..=65_536).contains(len))?;
        let at = first.checked_mul(cluster?)?.checked_add(3 * record)?;
        Some((at, record))
    };
    let Some((at, len)) = at() else { return Ok(None) };
    let Some(raw) = bytes(device, at, len as usize)? else { return Ok(None) };
    let u16_at = |at| le::u16(&raw, at).map(usize::from);
    let u32_at = |at| le::u32(&raw, at);
    let find = || {
        let mut at = u16_at(20).filter(|_| raw.starts_with(b"FILE"))?;
        // an attribute has 16 bytes at least
        for _ in 0..raw.len() / 16 {
            let (kind, size) = (u32_at(at)?, u32_at(at + 4)? as usize);
            if kind == VOLUME_NAME {
                let (value, len) = (at + u16_at(at + 20)?, u32_at(at + 16)? as usize);
                return raw.get(value..value.checked_add(len)?).map(wide);
            }
            if kind == u32::MAX || size < 16 {
                return None;
            }
            at = at.checked_add(size)?;
        }
        None
    };
    Ok(find().filter(|label| !label.is_empty()))
}

/// Bytes in use, where the superblock counts them.
fn used(device: &dyn ReadAt, kind: &str) -> io::Result<Option<u64>> {
    Ok(match kind {
        "btrfs" => bytes(device, 0x10078, 8)?.and_then(|raw| le::u64(&raw, 0)),
        "xfs" => bytes(device, 0, 152)?.and_then(|raw| {
            let (block, blocks, free) = (be::u32(&raw, 4)?, be::u64(&raw, 8)?, be::u64(&raw, 144)?);
            blocks.checked_sub(free)?.checked_mul(block.into())
        }),
        _ => None,
    })
}

/// `len` bytes at `at`; `None` where the device is shorter.
fn bytes(device: &dyn ReadAt, at: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
    if at.checked_add(len as u64).is_none_or(|end| end > device.len()) {
        return Ok(None);
    }
    let mut raw = vec![0; len];
    device.read_at(at, &mut raw)?;
    Ok(Some(raw))
}
