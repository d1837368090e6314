//! Changes of an image as bytes: which ranges, and what is in them.
//!
//! ```text
//! 8 bytes   "pibakech"
//! 4 bytes   the length of what follows next, little-endian
//! JSON      what it is of, how long the image becomes, the ranges
//! bytes     of the ranges, one after the other
//! ```

use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::disk::{Patch, WriteAt};

const MAGIC: &[u8; 8] = b"pibakech";
/// Of this page.
const VERSION: u32 = 1;

/// What is said of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    /// Which node, or which role, of which fleet.
    of: String,
    /// How long the image becomes that has them, in bytes.
    length: u64,
    /// Where they are: offset and length.
    ranges: Vec<(u64, u64)>,
}

/// What the changes of a payload say that they are of: they are the same in every cluster.
pub(super) const SHARED: &str = "payload";

/// What the changes of a node say that they are of: those of another node, or of another cluster, are not taken.
pub(super) fn of_node(node: &str, fleet: &str) -> String {
    format!("{node} of {fleet}")
}

/// The changes of `patch` within `window`, which makes an image of `length` bytes.
pub(super) fn write(of: &str, patch: &Patch, length: u64, window: Range<u64>) -> io::Result<Vec<u8>> {
    let all = patch.ranges();
    let ranges: Vec<(u64, u64)> =
        all.within(window).map(|range| (range.start, range.end - range.start)).collect();
    let head = Head { version: VERSION, of: of.to_owned(), length, ranges };
    let text = serde_json::to_vec(&head)?;
    let len = u32::try_from(text.len()).map_err(io::Error::other)?;
    let mut bytes = [&MAGIC[..], &len.to_le_bytes(), &text].concat();
    for (offset, len) in head.ranges {
        let at = bytes.len();
        bytes.resize(at + usize::try_from(len).map_err(io::Error::other)?, 0);
        patch.apply(offset, bytes.get_mut(at..).unwrap_or_default())?;
    }
    Ok(bytes)
}

/// Changes that were read.
pub(super) struct Changes<'a> {
    head: Head,
    content: &'a [u8],
}

impl<'a> Changes<'a> {
    /// Reads what [`write`] made. `Err` says what is wrong with it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let short = || "it ends too early".to_owned();
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        if magic != MAGIC {
            return Err("it does not hold changes of an image".to_owned());
        }
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (text, content) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(short)?;
        let head: Head = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if head.version != VERSION {
            return Err(format!("it is of version {}; this pibake knows {VERSION}", head.version));
        }
        let mut total: u64 = 0;
        for (offset, len) in &head.ranges {
            let end = offset.checked_add(*len).filter(|end| *end <= head.length);
            total =
                total.checked_add(*len).filter(|_| end.is_some()).ok_or("it changes what is not there")?;
        }
        if total != content.len() as u64 {
            return Err(format!("it has {} bytes instead of {total}", content.len()));
        }
        Ok(Self { head, content })
    }

    /// What it is of.
    pub(super) fn of(&self) -> &str {
        &self.head.of
    }

    /// How long the image becomes.
    pub(super) fn length(&self) -> u64 {
        self.head.length
    }

    /// Makes the changes.
    pub(super) fn apply(&self, to: &impl WriteAt) -> io::Result<()> {
        let mut rest = self.content;
        for (offset, len) in &self.head.ranges {
            let len = usize::try_from(*len).map_err(io::Error::other)?;
            let (here, behind) = rest.split_at_checked(len).ok_or(io::ErrorKind::UnexpectedEof)?;
            to.write_at(*offset, here)?;
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::{Extended, MemoryDevice, Overlay, ReadAt};

    #[test]
    fn changes_are_made_again_as_they_were() {
        let base = Arc::new(MemoryDevice::new((0..50_000).map(|n| n as u8).collect()));
        let long = || Extended::new(Arc::clone(&base), 60_000);
        let overlay = Overlay::new(long());
        for (at, bytes) in [(5, &b"one"[..]), (12_000, &[7; 9000]), (59_990, b"end")] {
            overlay.write_at(at, bytes).unwrap();
        }
        let patch = overlay.freeze().unwrap();
        let again = Overlay::new(long());
        for window in [0..16_384, 16_384..60_000] {
            let bytes = write("node-1", &patch, 60_000, window).unwrap();
            let changes = Changes::read(&bytes).unwrap();
            assert_eq!((changes.of(), changes.length()), ("node-1", 60_000));
            changes.apply(&again).unwrap();
        }
        assert_eq!(again.freeze().unwrap(), patch);
        let mut whole = [vec![0; 60_000], vec![0; 60_000]];
        overlay.read_at(0, &mut whole[0]).unwrap();
        again.read_at(0, &mut whole[1]).unwrap();
        assert!(whole[0] == whole[1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// Whatever a registry sends, it is read or refused.
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200_usize) {
            drop(Changes::read(&bytes));
            let head = [&MAGIC[..], &u32::MAX.to_le_bytes(), &bytes].concat();
            prop_assert!(Changes::read(&head).is_err());
            let overlay = Overlay::new(MemoryDevice::new(vec![0; 10_000]));
            overlay.write_at(5, b"x").unwrap();
            let mut whole = write("n", &overlay.freeze().unwrap(), 10_000, 0..10_000).unwrap();
            let at = at % whole.len();
            whole[at] ^= bytes.first().copied().unwrap_or(1);
            if let Ok(changes) = Changes::read(&whole) {
                let small = Overlay::new(MemoryDevice::new(vec![0; 10_000]));
                drop(changes.apply(&small));
            }
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let overlay = Overlay::new(MemoryDevice::new(vec![0; 10_000]));
        overlay.write_at(5, b"x").unwrap();
        let bytes = write("n", &overlay.freeze().unwrap(), 10_000, 0..10_000).unwrap();
        assert!(Changes::read(&bytes).is_ok());
        for len in [0, 7, 11, 20, bytes.len() - 1] {
            assert!(Changes::read(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Changes::read(&[&bytes[..], b"x"].concat()).is_err());
        let far = String::from_utf8_lossy(&bytes).replace("[[0,", "[[9,").into_bytes();
        assert!(Changes::read(&far).is_ok() && far != bytes);
        let beyond = String::from_utf8_lossy(&bytes).replace("10000", "10").into_bytes();
        assert!(Changes::read(&beyond).is_err());
    }
}
