//! How large an xz file is unpacked, without unpacking it: its indexes say so.
//!
//! Numbers after "The .xz File Format" 1.2.1, sections 2.1.2 (stream footer) and 4 (index).

use std::io::{self, Read, Seek, SeekFrom};

use crate::io::le;

const FOOTER: u64 = 12;
const HEADER: u64 = 12;
/// An index takes a few bytes a block; one that is larger than this is not worth reading for a hint.
const LARGEST_INDEX: u64 = 16 << 20;
const MOST_STREAMS: u32 = 1024;

/// How many bytes an .xz unpacks to, by all its streams' indexes; `None` where they make no sense.
/// Nothing but a hint: the decoder finds out.
///
/// # Errors
/// What reading `file` answers.
pub fn raw_len(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut total = 0_u64;
    for _ in 0..MOST_STREAMS {
        match stream_before(file, end)? {
            Some((start, len)) => {
                let Some(sum) = total.checked_add(len) else { return Ok(None) };
                (end, total) = (start, sum);
            }
            None => return Ok(None),
        }
        if end == 0 {
            return Ok(Some(total));
        }
    }
    Ok(None)
}

/// Where the stream that ends at `end` (but for padding) starts, and its unpacked size.
fn stream_before(file: &mut (impl Read + Seek), mut end: u64) -> io::Result<Option<(u64, u64)>> {
    let footer = loop {
        if end < HEADER + FOOTER {
            return Ok(None);
        }
        let footer: [u8; FOOTER as usize] = read_at(file, end - FOOTER)?;
        if footer.ends_with(&[0; 4]) { end -= 4 } else { break footer }
    };
    let Some(stored) = le::u32(&footer, 4).filter(|_| footer.ends_with(b"YZ")) else { return Ok(None) };
    let index_len = (u64::from(stored) + 1) * 4;
    let Some(index_start) = (end - FOOTER).checked_sub(index_len) else { return Ok(None) };
    if index_len > LARGEST_INDEX {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(index_start))?;
    let mut index = Vec::new();
    file.take(index_len).read_to_end(&mut index)?;
    let Some((packed, raw)) = sizes(&index) else { return Ok(None) };
    Ok(index_start.checked_sub(packed).and_then(|n| n.checked_sub(HEADER)).map(|start| (start, raw)))
}

/// The sums of the blocks' sizes: in the file with padding, and unpacked.
fn sizes(index: &[u8]) -> Option<(u64, u64)> {
    let mut rest = index.strip_prefix(&[0])?;
    let records = number(&mut rest)?;
    let (mut packed, mut raw) = (0_u64, 0_u64);
    for _ in 0..records {
        packed = packed.checked_add(number(&mut rest)?.checked_next_multiple_of(4)?)?;
        raw = raw.checked_add(number(&mut rest)?)?;
    }
    Some((packed, raw))
}

/// A number of seven bits a byte, lowest first; at most nine bytes.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn read_at<const N: usize>(file: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    fn xz(data: &[u8], block: u64) -> Vec<u8> {
        let stream =
            liblzma::stream::MtStreamBuilder::new().threads(1).preset(0).block_size(block).encoder().unwrap();
        let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        out.write_all(data).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn indexes_of_all_streams_are_summed() {
        let one = xz(&vec![7; 1_000_001], 4096 * 5);
        assert_eq!(raw_len(&mut Cursor::new(&one)).unwrap(), Some(1_000_001));
        let two = [one.clone(), vec![0; 8], xz(b"", 4096), xz(b"abc", 4096), vec![0; 4]].concat();
        assert_eq!(raw_len(&mut Cursor::new(two)).unwrap(), Some(1_000_004));
    }

    #[test]
    fn nonsense_gives_no_hint() {
        let good = xz(&vec![7; 100_001], 4096);
        for bad in [&[][..], &[0; 64], &[0xff; 64], &good[..good.len() - 1], &good[20..]] {
            assert_eq!(raw_len(&mut Cursor::new(bad)).unwrap(), None);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            let _ = raw_len(&mut Cursor::new(bad)).unwrap();
        }
    }
}
