//! Sparse bases and patches for the tests of the sinks.
#![allow(dead_code)] // each test binary uses its own part

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use pibake::base::ImageObserver;
use pibake::disk::{Extended, FileDevice, Overlay, Patch, WriteAt};
use pibake::io::CancelToken;
use pibake::io::chunk::{CHUNK, Chunk};
use pibake::io::pool::BufferPool;
use pibake::io::stream::ImageStream;
use rand::RngExt;
use support::noise;

/// Makes a file of `len` bytes with noise at each of `extents` (offset, length) and holes elsewhere.
pub fn sparse_base(path: &Path, len: u64, extents: &[(u64, usize)]) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    for (n, (offset, size)) in extents.iter().enumerate() {
        let size = (*size as u64).min(len.saturating_sub(*offset)) as usize;
        file.write_all_at(&noise::bytes(n as u64 + 1, size), *offset).unwrap();
    }
}

/// Streams `bytes` to an observer as a decoder would, as an image that is whole.
pub fn stream(observer: &mut dyn ImageObserver, bytes: &[u8], len_hint: Option<u64>) {
    let (image, pool) = (ImageStream::new(8), BufferPool::new(CHUNK, 8));
    observer.begin(len_hint, &image);
    for (bytes, at) in bytes.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let mut buffer = pool.take();
        buffer[..bytes.len()].copy_from_slice(bytes);
        let chunk = Chunk::filled(at, buffer, bytes.len());
        if !chunk.is_zero() {
            image.publish(chunk, &CancelToken::default()).unwrap();
        }
    }
    image.finish(bytes.len() as u64);
}

/// The patch that these writes (offset, bytes) leave over `base`.
pub fn patch(base: &Path, writes: &[(u64, Vec<u8>)]) -> Patch {
    longer_patch(base, 0, writes)
}

/// The same of an image that is `len` bytes long, where `base` is not longer anyway.
pub fn longer_patch(base: &Path, len: u64, writes: &[(u64, Vec<u8>)]) -> Patch {
    let overlay = Overlay::new(Extended::new(FileDevice::open(base).unwrap(), len));
    for (offset, bytes) in writes {
        overlay.write_at(*offset, bytes).unwrap();
    }
    overlay.freeze().unwrap()
}

/// Writes for a node: some small ones spread over the image, different for every name.
pub fn writes(node: &str, len: u64) -> Vec<(u64, Vec<u8>)> {
    let seed = node.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
    let mut noise = noise::noise(seed);
    (0..40)
        .map(|_| {
            let size = noise.random_range(1..=9000).min(len);
            (noise.random_range(0..=len - size), noise::fill(&mut noise, size as usize))
        })
        .collect()
}

/// What an image must hold.
pub fn expected(base: &Path, writes: &[(u64, Vec<u8>)]) -> Vec<u8> {
    longer_expected(base, 0, writes)
}

/// What an image must hold that is `len` bytes long, where `base` is not longer anyway.
pub fn longer_expected(base: &Path, len: u64, writes: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = std::fs::read(base).unwrap();
    bytes.resize(bytes.len().max(len as usize), 0);
    for (offset, data) in writes {
        bytes[*offset as usize..*offset as usize + data.len()].copy_from_slice(data);
    }
    bytes
}

/// `node-1` to `node-N`.
pub fn nodes(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("node-{n}")).collect()
}

/// Files whose names begin with a dot: temporary ones, where an image folder is concerned.
pub fn hidden(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}
