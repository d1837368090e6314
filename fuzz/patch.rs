//! Inputs that are changes to something sound.
//!
//! Of random bytes nothing gets past a magic number, and of a changed image nothing past a checksum. So
//! an input is a short list of changes: which seed, and what to put where among the parts of it that
//! say anything. Afterwards checksums are mended, if the input says so. The fuzzer's own mutations work
//! on the list, whose interesting values cost it a few bytes, and a corpus stays small.
use std::io;

use pibake::disk::ReadAt;

use super::seeds::{BLOCK, Seed};

/// Some bytes and zeros behind them, as large as the size that the bytes speak of may have to be.
pub struct Padded {
    pub head: Vec<u8>,
    pub len: u64,
}

impl ReadAt for Padded {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf.fill(0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.head.len());
        let there = &self.head[start..];
        let n = there.len().min(buf.len());
        buf[..n].copy_from_slice(&there[..n]);
        Ok(())
    }
}

/// What an input says, as long as it lasts; then zeros.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut word = [0; N];
        let n = N.min(self.0.len());
        word[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        word
    }
    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }
    fn number(&mut self) -> usize {
        u16::from_le_bytes(self.take()).into()
    }
}

/// A seed with changes.
pub struct Changed {
    pub image: Padded,
    /// Whether anything is other than in the seed.
    pub changed: bool,
}

/// The seed that `input` names with its changes made, and checksums mended by `mend`.
pub fn patched(input: &[u8], seeds: &[Seed], mend: fn(&mut [u8])) -> Changed {
    let mut words = Words(input);
    let choice = words.byte();
    let seed = &seeds[usize::from(choice & 0x7f) % seeds.len()];
    let mut bytes = seed.bytes.clone();
    while !words.0.is_empty() {
        let kind = words.byte();
        let block = seed.telling[words.number() % seed.telling.len()];
        let at = block + usize::from(words.byte()) % BLOCK;
        let mut write = |new: &[u8]| {
            let end = bytes.len().min(at + new.len());
            bytes[at..end].copy_from_slice(&new[..end - at]);
        };
        match kind % 8 {
            0 => write(&words.take::<1>()),
            1 => write(&words.take::<2>()),
            2 => write(&words.take::<4>()),
            3 => write(&words.take::<8>()),
            4 => write(&[[0xff; 8], [0; 8]][usize::from(words.byte() & 1)]),
            5 => write(&[0x7f, 0xff, 0xff, 0xff]),
            6 => {
                let flip = words.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (flip % 8);
                }
            }
            // another block's bytes: entries that are there twice, blocks that point to each other
            _ => {
                let from = seed.telling[words.number() % seed.telling.len()];
                let len = (usize::from(words.byte()) + 1).min(BLOCK);
                let len = len.min(bytes.len() - from).min(bytes.len() - at);
                bytes.copy_within(from..from + len, at);
            }
        }
    }
    let changed = bytes != seed.bytes;
    if choice & 0x80 == 0 {
        mend(&mut bytes);
    }
    Changed { image: Padded { head: bytes, len: seed.len }, changed }
}

/// Nothing to mend.
pub fn nothing(_: &mut [u8]) {}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The kernel's crc32c: without the inversions around it.
fn crc(seed: u32, parts: &[&[u8]]) -> u32 {
    !parts.iter().fold(!seed, |crc, part| crc32c::crc32c_append(crc, part))
}

/// ext4's checksums of the superblock, the group descriptors and the inodes, after the kernel's
/// Documentation/filesystems/ext4: checksums, group_descr, inodes, super.
pub fn mend_ext4(fs: &mut [u8]) {
    let _ = try_mend_ext4(fs);
}

fn try_mend_ext4(fs: &mut [u8]) -> Option<()> {
    const SB: usize = 1024;
    const METADATA_CSUM: u32 = 0x400;
    const CSUM_SEED: u32 = 0x2000;
    const IS_64BIT: u32 = 0x80;
    let incompat = u32_at(fs, SB + 0x60)?;
    if u32_at(fs, SB + 0x64)? & METADATA_CSUM == 0 {
        return None;
    }
    let seed = match incompat & CSUM_SEED {
        0 => crc(!0, &[fs.get(SB + 0x68..SB + 0x78)?]),
        _ => u32_at(fs, SB + 0x270)?,
    };
    let block = 1024_usize.checked_shl(u32_at(fs, SB + 0x18)?).filter(|b| (1024..=65536).contains(b))?;
    let descriptor =
        if incompat & IS_64BIT == 0 { 32 } else { usize::from(u16_at(fs, SB + 0xfe)?).clamp(32, 1024) };
    let inode_len = usize::from(u16_at(fs, SB + 0x58)?).clamp(128, block);
    let per_group = u32_at(fs, SB + 0x28)?.clamp(1, 4096);
    let blocks_per_group = u32_at(fs, SB + 0x20)?.max(1);
    let groups = (u32_at(fs, SB + 4)?.div_ceil(blocks_per_group)).clamp(1, 16);
    let first = if block == 1024 { 2 * block } else { block };
    for group in 0..groups {
        let at = first + group as usize * descriptor;
        let table = u32_at(fs, at + 8)? as usize;
        for index in 0..per_group {
            let inode = table.checked_mul(block)?.checked_add(index as usize * inode_len)?;
            let _ = mend_inode(fs, seed, inode, inode_len, group * per_group + index + 1);
        }
        fs.get_mut(at + 0x1e..at + 0x20)?.fill(0);
        let sum = crc(seed, &[&group.to_le_bytes(), fs.get(at..at + descriptor)?]);
        fs.get_mut(at + 0x1e..at + 0x20)?.copy_from_slice(&(sum as u16).to_le_bytes());
    }
    let sum = crc(!0, &[fs.get(SB..SB + 0x3fc)?]);
    fs.get_mut(SB + 0x3fc..SB + 0x400)?.copy_from_slice(&sum.to_le_bytes());
    Some(())
}

fn mend_inode(fs: &mut [u8], seed: u32, at: usize, len: usize, number: u32) -> Option<()> {
    let inode = fs.get_mut(at..at + len)?;
    if inode.iter().all(|b| *b == 0) {
        return None;
    }
    let generation: [u8; 4] = inode.get(0x64..0x68)?.try_into().ok()?;
    // the upper half is there in inodes that reach so far
    let high = len >= 0x84 && u16::from_le_bytes([inode[0x80], inode[0x81]]) >= 4;
    inode[0x7c..0x7e].fill(0);
    if high {
        inode[0x82..0x84].fill(0);
    }
    let sum = crc(seed, &[&number.to_le_bytes(), &generation, inode]);
    inode[0x7c..0x7e].copy_from_slice(&(sum as u16).to_le_bytes());
    if high {
        inode[0x82..0x84].copy_from_slice(&((sum >> 16) as u16).to_le_bytes());
    }
    Some(())
}

/// A GPT's checksums of its entries and its header, in both copies: UEFI 2.10, 5.3.2.
pub fn mend_gpt(disk: &mut [u8]) {
    for at in [512, disk.len().saturating_sub(512)] {
        let _ = mend_header(disk, at);
    }
}

fn mend_header(disk: &mut [u8], at: usize) -> Option<()> {
    // a header is a sector
    if !disk.get(at..at + 512)?.starts_with(b"EFI PART") {
        return None;
    }
    let entries = usize::try_from(u64_at(disk, at + 72)?).ok()?.checked_mul(512)?;
    let len = (u32_at(disk, at + 80)? as usize).checked_mul(u32_at(disk, at + 84)? as usize)?;
    if let Some(table) = disk.get(entries..entries.checked_add(len)?) {
        let sum = crc32(table);
        disk[at + 88..at + 92].copy_from_slice(&sum.to_le_bytes());
    }
    let header = (u32_at(disk, at + 12)? as usize).clamp(92, 512);
    disk[at + 16..at + 20].fill(0);
    let sum = crc32(disk.get(at..at + header)?);
    disk[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The checksums of a whole card's ext4, which begins at 5 MiB.
pub fn mend_card(card: &mut [u8]) {
    if let Some(root) = card.get_mut(5 << 20..9 << 20) {
        mend_ext4(root);
    }
}

/// The checksums of an .xz: stream headers and footers, indexes, and headers of blocks, as far as they
/// can be found from the end. "The .xz File Format" 1.2.1, sections 2.1, 3.1 and 4.
pub fn mend_xz(file: &mut [u8]) {
    let mut end = file.len();
    // each stream takes 32 bytes at least
    for _ in 0..64 {
        match mend_stream(file, end) {
            Some(start) if start < end => end = start,
            _ => return,
        }
    }
}

/// Mends the stream that ends at `end`, but for padding; gives where it starts.
fn mend_stream(file: &mut [u8], mut end: usize) -> Option<usize> {
    while file.get(end.checked_sub(4)?..end)? == [0; 4] {
        end -= 4;
    }
    let footer = end.checked_sub(12)?;
    let sum = crc32(file.get(footer + 4..footer + 10)?);
    file.get_mut(footer..footer + 4)?.copy_from_slice(&sum.to_le_bytes());
    let index_len = (u32_at(file, footer + 4)? as usize).checked_add(1)?.checked_mul(4)?;
    let index = footer.checked_sub(index_len)?;
    let sum = crc32(file.get(index..footer - 4)?);
    file.get_mut(footer - 4..footer)?.copy_from_slice(&sum.to_le_bytes());
    // the blocks, by the index
    let mut rest = file.get(index + 1..footer - 4)?.to_vec().into_iter();
    let mut number = || {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = rest.next()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    let count = number()?.min(1 << 12);
    let mut lens = Vec::new();
    for _ in 0..count {
        lens.push(usize::try_from(number()?.checked_next_multiple_of(4)?).ok()?);
        number()?;
    }
    let start = lens.iter().try_fold(index, |at, len| at.checked_sub(*len))?;
    let mut at = start;
    for len in lens {
        let header = (usize::from(*file.get(at)?) + 1) * 4;
        if let Some(head) = file.get(at..at + header - 4) {
            let sum = crc32(head);
            if let Some(place) = file.get_mut(at + header - 4..at + header) {
                place.copy_from_slice(&sum.to_le_bytes());
            }
        }
        at += len;
    }
    let header = start.checked_sub(12)?;
    let sum = crc32(file.get(header + 6..header + 8)?);
    file.get_mut(header + 8..header + 12)?.copy_from_slice(&sum.to_le_bytes());
    Some(header)
}
