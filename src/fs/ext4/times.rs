//! The times of an inode.
//!
//! Each is 32 bits of seconds since 1970 *with a sign*, and where the inode is large enough another
//! 32 bits: the lower two count further spans of 2^32 seconds, the upper thirty are nanoseconds
//! (`Documentation/filesystems/ext4/inodes.rst`, "Inode Timestamps"). So a small inode reaches from
//! 1901 to 2038, a large one to 2446.

use std::ops::RangeInclusive;

use crate::io::le;

/// The length of an inode without the second half of its times; they follow from here on.
pub(super) const SMALL_INODE: usize = 128;
/// How many bytes after the first 128 are in use.
const EXTRA_SIZE: usize = 0x80;

/// Where each time is: its seconds, and their second half.
pub(super) const ACCESSED: (usize, usize) = (0x08, 0x8c);
pub(super) const CHANGED: (usize, usize) = (0x0c, 0x84);
pub(super) const MODIFIED: (usize, usize) = (0x10, 0x88);
pub(super) const CREATED: (usize, usize) = (0x90, 0x94);

/// A point in time, as ext4 keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970; negative before.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// When the content of an inode of at least 128 bytes was last changed.
pub(super) fn modified(inode: &[u8]) -> Time {
    // every inode has the first half
    let word = |at| word(inode, at).unwrap_or(0);
    let (seconds, extra) = (i64::from(word(MODIFIED.0).cast_signed()), word(MODIFIED.1));
    Time { seconds: seconds + (i64::from(extra & 3) << 32), nanoseconds: extra >> 2 }
}

/// The 32 bits at `at`; `None` where the inode has none there.
fn word(inode: &[u8], at: usize) -> Option<u32> {
    let extra = if inode.len() > SMALL_INODE { usize::from(le::u16(inode, EXTRA_SIZE)?) } else { 0 };
    if at + 4 > SMALL_INODE + extra {
        return None;
    }
    le::u32(inode, at)
}

/// The seconds that inodes of this many bytes can keep.
pub(super) fn kept(inode_size: u64) -> RangeInclusive<i64> {
    let first = i64::from(i32::MIN);
    match inode_size > SMALL_INODE as u64 {
        true => first..=i64::from(i32::MAX) + (3 << 32),
        false => first..=i64::from(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(extra_size: u16, seconds: u32, extra: u32) -> Vec<u8> {
        let mut inode = vec![0; 256];
        inode[EXTRA_SIZE..EXTRA_SIZE + 2].copy_from_slice(&extra_size.to_le_bytes());
        inode[MODIFIED.0..][..4].copy_from_slice(&seconds.to_le_bytes());
        inode[MODIFIED.1..][..4].copy_from_slice(&extra.to_le_bytes());
        inode
    }

    #[test]
    fn the_table_of_the_kernels_documentation() {
        // epoch bits, top bit of the seconds, and what the decoded seconds begin with
        for (epoch, low, seconds) in [
            (0, 0x8000_0000_u32, -0x8000_0000_i64),
            (0, 0xffff_ffff, -1),
            (0, 0, 0),
            (0, 0x7fff_ffff, 0x7fff_ffff),
            (1, 0x8000_0000, 0x8000_0000),
            (1, 0x7fff_ffff, 0x1_7fff_ffff),
            (2, 0x8000_0000, 0x1_8000_0000),
            (3, 0x7fff_ffff, 0x3_7fff_ffff),
        ] {
            let read = modified(&inode(32, low, epoch | 123_456_789 << 2));
            assert_eq!(read, Time { seconds, nanoseconds: 123_456_789 });
        }
    }

    #[test]
    fn what_the_inode_has_no_room_for_is_not_read() {
        // 0x88 to 0x8c is used from 12 bytes on
        assert_eq!(modified(&inode(8, 5, u32::MAX)), Time { seconds: 5, nanoseconds: 0 });
        assert_eq!(modified(&inode(12, 5, 4)), Time { seconds: 5, nanoseconds: 1 });
        assert_eq!(modified(&[0xff; 128]), Time { seconds: -1, nanoseconds: 0 });
        for len in 128..256 {
            modified(&vec![0xff; len]);
        }
    }
}
