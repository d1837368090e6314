//! `.img.zst` and `.img.xz`: the card's bytes, compressed on all cores.
//!
//! Same image, same bytes: what is cut into blocks for the cores is cut at fixed places, so that
//! the number of cores does not show.

use std::fs::File;
use std::io::{self, Write};

use liblzma::stream::{Check, MtStreamBuilder};
use liblzma::write::XzEncoder;
use zstd::zstd_safe::CParameter;

use super::Format;
use super::merge::Sequential;
use crate::io::AtomicFile;

/// zstd's own default; higher levels cost much time and win little on file systems.
const ZSTD_LEVEL: i32 = 3;
/// How much input a zstd worker gets at a time: twice the window of the level (2 MiB).
const ZSTD_JOB: u32 = 4 << 20;
/// Each worker holds a job's input and output and its tables, about 16 MiB.
const ZSTD_MAX_WORKERS: u32 = 8;

/// The dictionary of preset 2 is 2 MiB; presets above it cost twice the time here for a few percent.
const XZ_PRESET: u32 = 2;
/// Uncompressed size of a block: decoders can take one per core, and 4 MiB loses little compression.
const XZ_BLOCK: u64 = 4 << 20;
/// What liblzma's encoder may take in all.
const XZ_MEMORY: u64 = 160 << 20;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

enum Encoder {
    Zst(zstd::stream::write::Encoder<'static, File>),
    Xz(XzEncoder<File>),
}

/// A compressed image being written.
pub(super) struct Compressed {
    temp: AtomicFile,
    encoder: Encoder,
    /// How much of the image the encoder has been given.
    position: u64,
    len: u64,
}

impl Compressed {
    /// An image of `len` bytes, compressed on `threads` cores, or fewer where memory is the limit.
    ///
    /// `format` says how: [`Format::Xz`], or Zstandard.
    pub(super) fn new(temp: AtomicFile, format: Format, len: u64, threads: u32) -> io::Result<Self> {
        let file = temp.file().try_clone()?;
        let encoder = match format {
            Format::Xz => Encoder::Xz(xz(file, threads)?),
            _ => Encoder::Zst(zst(file, len, threads)?),
        };
        Ok(Self { temp, encoder, position: 0, len })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.encoder {
            Encoder::Zst(encoder) => encoder.write_all(bytes)?,
            Encoder::Xz(encoder) => encoder.write_all(bytes)?,
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn zeros_until(&mut self, offset: u64) -> io::Result<()> {
        while self.position < offset {
            let n = (offset - self.position).min(ZEROS.len() as u64) as usize;
            self.put(&ZEROS[..n])?;
        }
        Ok(())
    }

    /// Ends the stream and puts the file under its final name, durably.
    pub(super) fn keep(mut self) -> io::Result<File> {
        self.zeros_until(self.len)?;
        match self.encoder {
            Encoder::Zst(encoder) => encoder.finish()?,
            Encoder::Xz(encoder) => encoder.finish()?,
        };
        self.temp.keep()
    }
}

impl Sequential for Compressed {
    fn run(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.zeros_until(offset)?;
        self.put(bytes)
    }
}

fn zst(file: File, len: u64, threads: u32) -> io::Result<zstd::stream::write::Encoder<'static, File>> {
    let mut encoder = zstd::stream::write::Encoder::new(file, ZSTD_LEVEL)?;
    // One worker is not none: zstd cuts its input into jobs only when there are workers.
    encoder.set_parameter(CParameter::NbWorkers(threads.clamp(1, ZSTD_MAX_WORKERS)))?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB))?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(len))?;
    encoder.include_contentsize(true)?;
    Ok(encoder)
}

fn xz(file: File, threads: u32) -> io::Result<XzEncoder<File>> {
    let mut threads = threads.max(1);
    let stream = loop {
        let mut builder = MtStreamBuilder::new();
        builder.threads(threads).preset(XZ_PRESET).block_size(XZ_BLOCK).check(Check::Crc64);
        if threads == 1 || builder.memusage() <= XZ_MEMORY {
            break builder.encoder()?;
        }
        threads -= 1;
    };
    Ok(XzEncoder::new_stream(file, stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise, and more text, with zeros between: 14 MiB.
    fn content() -> Vec<u8> {
        let mut bytes = vec![0; 14 << 20];
        bytes[..2 << 20].copy_from_slice(&support::noise::bytes(1, 2 << 20));
        for (n, byte) in bytes[5 << 20..13 << 20].iter_mut().enumerate() {
            *byte = b"the quick brown fox "[n % 20] ^ (n >> 12) as u8;
        }
        bytes
    }

    fn written(format: Format, threads: u32, piece: usize) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let content = content();
        let temp = AtomicFile::within(dir.path(), "n").unwrap();
        let mut image = Compressed::new(temp, format, content.len() as u64, threads).unwrap();
        for (n, bytes) in content.chunks(piece).enumerate() {
            if bytes.iter().any(|b| *b != 0) {
                image.run((n * piece) as u64, bytes).unwrap();
            }
        }
        image.keep().unwrap();
        std::fs::read(dir.path().join("n")).unwrap()
    }

    #[test]
    fn the_number_of_cores_does_not_show() {
        for format in [Format::Zst, Format::Xz] {
            let alone = written(format, 1, 1 << 16);
            assert!(alone.len() < 8 << 20, "{format} compressed nothing");
            for (threads, piece) in [(2, 1 << 22), (64, 1 << 20)] {
                assert!(written(format, threads, piece) == alone, "{format} with {threads} threads");
            }
        }
    }
}
