//! The kernel's tables of mounts and swaps.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::drives::DeviceNumber;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// The number of its device; the major one is 0 where it has none or several.
    pub number: DeviceNumber,
    /// Where it is mounted.
    pub at: PathBuf,
    /// Its type.
    pub kind: String,
    /// What it was mounted from.
    pub source: PathBuf,
}

/// Reads `/proc/self/mountinfo`, whose form proc_pid_mountinfo(5) has. Lines that are none are left out.
pub(super) fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    // the number of optional fields varies; a dash ends them
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let number = DeviceNumber::parse(before.next()?)?;
    let at = unescape(before.nth(1)?);
    let mut after = after.split(' ');
    let kind = after.next()?.to_owned();
    Some(Mount { number, at, kind, source: unescape(after.next()?) })
}

/// Reads `/proc/swaps`: the files and devices that memory is swapped to.
pub(super) fn swaps(text: &str) -> Vec<PathBuf> {
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescape).collect()
}

/// The kernel writes blanks and backslashes as three octal digits after a backslash.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_with_and_without_optional_fields() {
        let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw\n\
                    22 1 0:27 / / rw - btrfs /dev/sda2 rw,subvol=/@\nnonsense\n";
        let found = mounts(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].at, PathBuf::from("/mnt 2"));
        assert_eq!(found[0].number, DeviceNumber { major: 98, minor: 0 });
        assert_eq!((found[1].kind.as_str(), found[1].source.to_str()), ("btrfs", Some("/dev/sda2")));
    }

    #[test]
    fn swaps_after_the_heading() {
        let text =
            "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1  partition 1 0 -2\n/a\\040b\\134c file 1 0 -3\n";
        assert_eq!(swaps(text), [PathBuf::from("/dev/dm-1"), PathBuf::from("/a b\\c")]);
    }
}
