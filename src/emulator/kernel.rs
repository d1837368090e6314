//! Linux kernels as QEMU boots them: QEMU's `-kernel` wants an arm64 `Image`, and Ubuntu's `vmlinuz`
//! is one packed with gzip (20.04 to 24.04), or an EFI application that unpacks itself.

use std::io::Read;

use crate::error::{Classified, ErrorClass};
use crate::io::le;
use crate::io::magic::Wrapping;

/// `ARM\x64` at this offset marks an arm64 image (Linux, `Documentation/arch/arm64/booting.rst`).
const MAGIC_OFFSET: usize = 56;
const MAGIC: &[u8] = b"ARM\x64";

/// A kernel packed by Linux's `CONFIG_EFI_ZBOOT`: `MZ`, two bytes, `zimg`, then as little-endian
/// 32-bit numbers where the payload begins and how long it is, and at 24 how it is packed
/// (`drivers/firmware/efi/libstub/zboot-header.S`).
const ZBOOT_OFFSET: usize = 4;
const ZBOOT: &[u8] = b"zimg";

/// No kernel unpacks to more; damaged or malicious data may claim anything.
const LARGEST: u64 = 256 << 20;

/// Why a file is no kernel that can be booted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is something else.
    #[error("not a Linux kernel for arm64{}", if *placeholder { ", but a placeholder: this image is not made to boot" } else { "" })]
    NotAKernel {
        /// It is far too small to be one.
        placeholder: bool,
    },
    /// It is packed in a way that is not known.
    #[error("it is packed with {0:?}, which is not understood: gzip and zstd are")]
    Packing(String),
    /// It cannot be unpacked.
    #[error("it cannot be unpacked")]
    Damaged(#[source] std::io::Error),
    /// It unpacks to more than any kernel has.
    #[error("it unpacks to more than 256 MiB")]
    TooLarge,
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotAKernel { .. } | Self::Packing(_) => ErrorClass::Failed,
            Self::Damaged(_) | Self::TooLarge => ErrorClass::Damaged,
        }
    }
}

/// The arm64 image in `file`, unpacked where it is packed.
///
/// # Errors
/// [`Error`]
pub fn unpack(file: Vec<u8>) -> Result<Vec<u8>, Error> {
    let len = file.len();
    let image = if Wrapping::of(&file) == Some(Wrapping::Gz) {
        read(flate2::read::MultiGzDecoder::new(file.as_slice()))?
    } else if at(&file, ZBOOT_OFFSET, ZBOOT) {
        unpack_zboot(&file)?
    } else {
        file
    };
    if at(&image, MAGIC_OFFSET, MAGIC) {
        return Ok(image);
    }
    Err(Error::NotAKernel { placeholder: len < 64 << 10 })
}

fn unpack_zboot(file: &[u8]) -> Result<Vec<u8>, Error> {
    let number = |at| le::u32(file, at).map(|n| n as usize);
    let truncated = || Error::Damaged(std::io::ErrorKind::UnexpectedEof.into());
    let (start, len) = number(8).zip(number(12)).ok_or_else(truncated)?;
    let payload = start.checked_add(len).and_then(|end| file.get(start..end)).ok_or_else(truncated)?;
    let packing = file.get(24..56).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    match packing {
        b"gzip" => read(flate2::read::GzDecoder::new(payload)),
        b"zstd" => read(zstd::Decoder::new(payload).map_err(Error::Damaged)?),
        other => Err(Error::Packing(String::from_utf8_lossy(other).into_owned())),
    }
}

fn read(packed: impl Read) -> Result<Vec<u8>, Error> {
    let mut image = Vec::new();
    packed.take(LARGEST + 1).read_to_end(&mut image).map_err(Error::Damaged)?;
    if image.len() as u64 > LARGEST { Err(Error::TooLarge) } else { Ok(image) }
}

fn at(bytes: &[u8], offset: usize, wanted: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn image() -> Vec<u8> {
        let mut image = vec![0x5a; 100_000];
        image[MAGIC_OFFSET..MAGIC_OFFSET + 4].copy_from_slice(MAGIC);
        image
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn zboot(packing: &str, payload: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..8].copy_from_slice(b"MZ\0\0zimg");
        file[8..12].copy_from_slice(&64_u32.to_le_bytes());
        file[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        file[24..24 + packing.len()].copy_from_slice(packing.as_bytes());
        file.extend(payload);
        file.extend([0; 512]);
        file
    }

    #[test]
    fn every_form_of_a_kernel_comes_to_the_same_image() {
        let zstd = zstd::encode_all(image().as_slice(), 1).unwrap();
        for file in [image(), gzip(&image()), zboot("gzip", &gzip(&image())), zboot("zstd", &zstd)] {
            assert_eq!(unpack(file).unwrap(), image());
        }
    }

    #[test]
    fn what_is_no_kernel_is_said_to_be_none() {
        let error = |file| unpack(file).unwrap_err().to_string();
        assert!(error(b"a placeholder for vmlinuz\n".to_vec()).contains("placeholder"));
        assert_eq!(error(vec![0; 1 << 20]), "not a Linux kernel for arm64");
        assert_eq!(error(gzip(&[0; 1 << 20])).lines().count(), 1);
        let mut cut = gzip(&image());
        cut.truncate(60);
        assert_eq!(error(cut), "it cannot be unpacked");
        assert!(error(zboot("lzma", b"x")).contains("lzma"));
        for len in 0..64 {
            assert!(unpack(zboot("gzip", &gzip(&image()))[..len].to_vec()).is_err());
        }
    }
}
