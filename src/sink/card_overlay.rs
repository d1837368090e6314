//! A card for an emulator: a qcow2 file over a raw image that is never written, with the blocks of a
//! patch in it.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Error;
use super::merge::{Sequential, grains};
use super::qcow2::Qcow2;
use crate::disk::{Patch, Patched, ReadAt};
use crate::io::AtomicFile;
use crate::io::chunk::GRAIN;
use crate::io::folder::parent;

/// Makes `path`, a qcow2 file of a disk with `len` bytes: what is in `patch` over the raw image at
/// `backing`, and zeros behind the image's end. `backing` is named as it is given, so an absolute
/// path it should be.
///
/// # Errors
/// [`Error::Read`] and [`Error::Write`]; [`Error::Outside`] where the image is longer than `len`.
pub fn card_overlay(path: &Path, len: u64, backing: &Path, patch: Patch) -> Result<File, Error> {
    let read_fault = |source| Error::Read { path: backing.to_owned(), source };
    let write_fault = |source| Error::Write { path: path.to_owned(), source };
    let base = crate::disk::FileDevice::open(backing).map_err(read_fault)?;
    let image_len = patch.image_len(base.len());
    let ranges = patch.ranges();
    if image_len > len {
        return Err(Error::Outside { path: path.to_owned(), image: image_len, len });
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("card.qcow2");
    let temp = AtomicFile::within(parent(path), name).map_err(write_fault)?;
    let mut image = Qcow2::new(temp, len).over(backing.as_os_str().as_bytes()).map_err(write_fault)?;
    let device = Patched::new(base, patch);
    let mut grain = vec![0; GRAIN as usize];
    for offset in grains(&ranges) {
        // a cluster hides all of the backing file beneath it, so it must be whole
        let there = image_len.saturating_sub(offset).min(GRAIN) as usize;
        grain.fill(0);
        device.read_at(offset, &mut grain[..there]).map_err(read_fault)?;
        image.run(offset, &grain).map_err(write_fault)?;
    }
    image.keep().map_err(write_fault)
}
