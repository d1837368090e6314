//! The two requests to a drive that no safe library offers. All of the program's `unsafe` is here.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::ioctl::{NoArg, Setter, ioctl};

/// `BLKRRPART` of <linux/fs.h>: _IO(0x12, 95).
const REREAD_PARTITIONS: u32 = 0x125f;
/// `BLKDISCARD` of <linux/fs.h>: _IO(0x12, 119).
const DISCARD: u32 = 0x1277;

/// Has the kernel read a drive's partition table anew. Takes root, and a drive of which no partition
/// is in use; udev does the same when whoever wrote to a drive closes it.
///
/// # Errors
/// What the kernel answers.
pub fn reread_partitions(drive: &File) -> io::Result<()> {
    // SAFETY: the request takes no argument and touches no memory of this process; on what is no
    // drive it is an error.
    unsafe { ioctl(drive, NoArg::<REREAD_PARTITIONS>::new()) }.map_err(io::Error::from)
}

/// Tells a drive that nobody needs these bytes any longer. What is read there afterwards is not said.
///
/// # Errors
/// What the kernel answers, such as that the drive knows no such thing.
pub fn discard(drive: &File, range: Range<u64>) -> io::Result<()> {
    let argument = [range.start, range.end.saturating_sub(range.start)];
    // SAFETY: the request reads two 64-bit numbers, offset and length, from where it is pointed to,
    // and that is what `argument` is; it lives until the call returns.
    unsafe { ioctl(drive, Setter::<DISCARD, [u64; 2]>::new(argument)) }.map_err(io::Error::from)
}
