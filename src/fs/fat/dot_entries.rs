//! The entries `.` and `..` of a new directory, as the format wants them.
//!
//! The library gives both a long name, which they must not have, and lets `..` of a directory below
//! the root point at the root's cluster, where FAT32 wants zero.

use super::super::Error;
use crate::disk::WriteAt;
use crate::image_path::ImagePath;

const ENTRY: usize = 32;
const ATTRIBUTES: usize = 11;
const LONG_NAME: u8 = 0x0f;

/// Puts the entries at `offset`, the start of a directory that was just made, right.
pub(super) fn repair(device: &dyn WriteAt, offset: u64, path: &ImagePath) -> Result<(), Error> {
    let failed = |e| Error::io(format!("making {path}"), e);
    let mut raw = [0; 4 * ENTRY];
    device.read_at(offset, &mut raw).map_err(failed)?;
    let [dot_long, dot, dotdot_long, dotdot] = [0, 1, 2, 3].map(|n| &raw[n * ENTRY..(n + 1) * ENTRY]);
    let as_made = dot_long[ATTRIBUTES] == LONG_NAME
        && dot.starts_with(b".          ")
        && dotdot_long[ATTRIBUTES] == LONG_NAME
        && dotdot.starts_with(b"..         ");
    if !as_made {
        return Err(Error::corrupt(path, "the new directory does not begin with '.' and '..'"));
    }
    let mut dotdot = dotdot.to_vec();
    if path.ancestors().is_empty() {
        // the two halves of the first cluster's number
        dotdot[20..22].fill(0);
        dotdot[26..28].fill(0);
    }
    let right = [dot, &dotdot, &[0; 2 * ENTRY]].concat();
    device.write_at(offset, &right).map_err(failed)
}
