//! The entries of a FAT directory, with long names.
//!
//! Numbers after Microsoft's "FAT File System Specification" 1.03, sections 6 and 7.

use super::super::{FileKind, Metadata};
use crate::io::le;

pub(super) const ENTRY_LEN: usize = 32;
pub(super) const ATTRIBUTE_LABEL: u8 = 0x08;
pub(super) const DELETED: u8 = 0xe5;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;
/// In the number of a piece: no piece of a higher number belongs to the name.
const LAST: u8 = 0x40;
/// Pieces of the longest name: 255 characters, 13 in each.
const PIECES_MAX: u8 = 20;

/// A directory entry, with its long name if it has one.
pub(super) struct Entry {
    pub name: String,
    pub short_name: String,
    pub is_dir: bool,
    pub first_cluster: u64,
    pub len: u64,
}

impl Entry {
    pub(super) fn metadata(&self) -> Metadata {
        let kind = if self.is_dir { FileKind::Directory } else { FileKind::File };
        Metadata { kind, len: self.len, attributes: None }
    }
}

/// The entries of a directory, without the volume label.
pub(super) fn parse(directory: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long = LongName::default();
    for raw in directory.chunks_exact(ENTRY_LEN) {
        let attributes = raw[11];
        match raw[0] {
            0 => break,
            DELETED => long = LongName::default(),
            _ if attributes & 0x3f == ATTRIBUTE_LONG_NAME => long.add(raw),
            _ if attributes & ATTRIBUTE_LABEL != 0 => long = LongName::default(),
            _ => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_uppercase();
                let (base, extension) = (text(&raw[..8]), text(&raw[8..11]));
                let short_name = if extension.is_empty() { base } else { format!("{base}.{extension}") };
                let numbers = (le::u16(raw, 20), le::u16(raw, 26), le::u32(raw, 28));
                let (Some(high), Some(low), Some(len)) = numbers else { continue };
                entries.push(Entry {
                    name: std::mem::take(&mut long).of(&raw[..11]).unwrap_or_else(|| short_name.clone()),
                    short_name,
                    is_dir: attributes & ATTRIBUTE_DIRECTORY != 0,
                    first_cluster: u64::from(high) << 16 | u64::from(low),
                    len: len.into(),
                });
            }
        }
    }
    entries
}

/// The pieces of a long name, which stand before the entry that they name, the last one first.
/// What is out of order, or of another entry, names nothing: programs that know no long names leave such
/// pieces behind.
#[derive(Default)]
struct LongName {
    pieces: Vec<[u16; 13]>,
    /// The number of the piece that was read last; pieces count down to 1.
    number: u8,
    /// The checksum of the short name.
    sum: u8,
}

impl LongName {
    fn add(&mut self, raw: &[u8]) {
        let (number, sum) = (raw[0] & !LAST, raw[13]);
        let fits = match raw[0] & LAST {
            0 => Some(number) == self.number.checked_sub(1) && sum == self.sum,
            _ => {
                self.pieces.clear();
                number <= PIECES_MAX
            }
        };
        if !fits || number == 0 {
            *self = Self::default();
            return;
        }
        let mut piece = [0; 13];
        let units = [&raw[1..11], &raw[14..26], &raw[28..32]].concat();
        piece.iter_mut().zip(le::units(&units)).for_each(|(place, unit)| *place = unit);
        self.pieces.push(piece);
        (self.number, self.sum) = (number, sum);
    }

    /// The name, if all of it is there and it is that of the entry called `short` on disk.
    fn of(self, short: &[u8]) -> Option<String> {
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let units: Vec<u16> =
            self.pieces.iter().rev().flatten().copied().take_while(|unit| *unit != 0).collect();
        (self.number == 1 && self.sum == sum && !units.is_empty()).then(|| String::from_utf16_lossy(&units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: u8, name: &str, sum: u8) -> [u8; ENTRY_LEN] {
        let mut raw = [0xff; ENTRY_LEN];
        let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
        for (at, unit) in places.zip(units) {
            raw[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        (raw[0], raw[11], raw[12], raw[13]) = (number, ATTRIBUTE_LONG_NAME, 0, sum);
        raw
    }

    fn short(name: &[u8; 11]) -> [u8; ENTRY_LEN] {
        let mut raw = [0; ENTRY_LEN];
        raw[..11].copy_from_slice(name);
        raw
    }

    const SHORT: &[u8; 11] = b"NETWOR~1WIT";

    fn names(raw: &[[u8; ENTRY_LEN]]) -> Vec<String> {
        parse(&raw.concat()).into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_long_name_is_put_together_and_nothing_else_is() {
        let sum = SHORT.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let (two, one) = (piece(0x42, "long", sum), piece(1, "network-with-", sum));
        let entry = short(SHORT);
        assert_eq!(names(&[two, one, entry]), ["network-with-long"]);
        for orphans in [
            &[two][..],
            &[one],
            &[one, two],
            &[two, two],
            &[two, one, one],
            &[two, piece(1, "other", sum ^ 1)],
            &[piece(0x42, "long", sum ^ 1), piece(1, "other", sum ^ 1)],
            &[piece(0x40, "zero", sum)],
            &[piece(0x7f, "far", sum), piece(0x3e, "far", sum)],
        ] {
            assert_eq!(names(&[orphans, &[entry]].concat()), ["NETWOR~1.WIT"], "{} pieces", orphans.len());
        }
    }

    #[test]
    fn a_directory_that_is_all_pieces_is_read_in_one_go() {
        let endless = vec![piece(0x41, "0123456789abc", 1); 65_536];
        assert!(parse(&endless.concat()).is_empty());
    }
}
