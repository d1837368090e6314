use std::io::{BufReader, Cursor, Read, Write};

use super::error::{Broken, is_broken};
use super::*;

/// An image with a boot sector, text and long runs of zeros.
fn image(len: usize) -> Vec<u8> {
    let mut data: Vec<u8> =
        (0..len).map(|i| if i % 50_000 < 20_000 { (i * i / 977) as u8 } else { 0 }).collect();
    data[510..512].copy_from_slice(&[0x55, 0xaa]);
    data
}

fn xz(data: &[u8]) -> Vec<u8> {
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(2)
        .preset(0)
        .check(liblzma::stream::Check::Crc64)
        .block_size(64 << 10)
        .encoder()
        .unwrap();
    let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn zst(data: &[u8]) -> Vec<u8> {
    let mut out = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    out.include_checksum(true).unwrap();
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let format = Format::detect(&packed[..packed.len().min(HEAD)])?;
    // pieces of odd sizes, as a network brings them
    let mut reader = format.reader(BufReader::with_capacity(1013, Cursor::new(packed))).unwrap();
    let mut raw = Vec::new();
    match reader.read_to_end(&mut raw) {
        Ok(_) => Ok(raw),
        Err(e) => Err(e.into_inner().and_then(|e| e.downcast::<DecodeError>().ok()).map(|e| *e).unwrap()),
    }
}

type Packer = fn(&[u8]) -> Vec<u8>;
const PACKERS: [Packer; 3] = [xz, gz, zst];

#[test]
fn every_format_gives_the_image_back() {
    let data = image(700_001);
    assert_eq!(unpack(&data).as_ref(), Ok(&data));
    for pack in PACKERS {
        assert!(unpack(&pack(&data)) == Ok(data.clone()));
        let (head, tail) = data.split_at(300_000);
        assert!(unpack(&[pack(head), pack(tail)].concat()) == Ok(data.clone()), "concatenated");
    }
    let (head, tail) = data.split_at(300_000);
    assert!(unpack(&[xz(head), vec![0; 8], xz(tail), vec![0; 2048]].concat()) == Ok(data.clone()));
}

#[test]
fn a_cut_anywhere_is_noticed() {
    let data = image(200_000);
    for pack in PACKERS {
        let packed = pack(&data);
        let step = packed.len() / 97 + 1;
        for end in (20..packed.len()).step_by(step).chain(packed.len() - 16..packed.len()) {
            let fault = unpack(&packed[..end]).expect_err("a truncated file passed");
            assert!(matches!(fault, DecodeError::Truncated(_)), "cut at {end} of {}: {fault}", packed.len());
        }
    }
    for padding in 1..4 {
        let fault = unpack(&[xz(&data), vec![0; padding]].concat()).unwrap_err();
        assert!(matches!(fault, DecodeError::Corrupt(..)), "{fault}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let data = image(60_000);
    for pack in PACKERS {
        let packed = pack(&data);
        let step = packed.len() / 499 + 1;
        for at in (0..packed.len()).step_by(step).chain(packed.len() - 40..packed.len()) {
            for bit in [0, 3, 7] {
                let mut bad = packed.clone();
                bad[at] ^= 1 << bit;
                // a few bits of gzip (its header's time, the filling of the last byte) mean nothing and are
                // guarded by nothing
                match unpack(&bad) {
                    Err(_) => {}
                    Ok(raw) => assert!(
                        raw == data && packed.starts_with(&[0x1f, 0x8b]),
                        "bit {bit} of byte {at} of {} went unnoticed",
                        packed.len()
                    ),
                }
            }
        }
    }
}

#[test]
fn trailing_garbage_is_noticed() {
    let data = image(10_000);
    for pack in PACKERS {
        let fault = unpack(&[pack(&data), b"garbage!".to_vec()].concat()).unwrap_err();
        assert!(matches!(fault, DecodeError::Corrupt(..) | DecodeError::Truncated(_)), "{fault}");
    }
}

#[test]
fn the_format_is_seen_by_the_first_bytes() {
    let mut gpt = vec![0; HEAD];
    gpt[510..].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(Format::detect(&gpt), Ok(Format::Raw));
    for (head, fault) in [
        (&b""[..], DecodeError::Empty),
        (b"  \n<!DOCTYPE HTML>", DecodeError::WebPage),
        (b"\xef\xbb\xbf<html lang=de>", DecodeError::WebPage),
        (b"<?xml version='1.0'?><Error>", DecodeError::WebPage),
        (b"PK\x03\x04", DecodeError::Unsupported("a zip archive")),
        (b"BZh9", DecodeError::Unsupported("compressed with bzip2")),
        (b"QFI\xfb\0\0\0\x03", DecodeError::Unsupported("a qcow2 image")),
        (b"hello, world", DecodeError::Unknown("68 65 6c 6c 6f 2c 20 77".to_owned())),
        (&[0; HEAD], DecodeError::Unknown("00 00 00 00 00 00 00 00".to_owned())),
    ] {
        assert_eq!(Format::detect(head), Err(fault));
    }
}

#[test]
fn a_failing_source_is_not_taken_for_a_damaged_file() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() { Err(std::io::Error::other(Broken)) } else { self.0.read(buf) }
        }
    }
    let data = image(300_000);
    for pack in PACKERS {
        let packed = pack(&data);
        let format = Format::detect(&packed[..HEAD]).unwrap();
        let half = Failing(&packed[..packed.len() / 2]);
        let mut reader = format.reader(BufReader::new(half)).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(is_broken(&error), "{format:?}: {error}");
    }
}

#[test]
fn a_dictionary_that_takes_too_much_memory_is_refused() {
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(512 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let stream =
        liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc64).unwrap();
    let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    out.write_all(&image(10_000)).unwrap();
    assert_eq!(unpack(&out.finish().unwrap()), Err(DecodeError::Memory(160)));
}

#[test]
fn files_made_with_the_heaviest_preset_are_decoded() {
    let data = image(200_000);
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 9);
    out.write_all(&data).unwrap();
    assert!(unpack(&out.finish().unwrap()) == Ok(data));
}
