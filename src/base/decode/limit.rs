//! How large an image may become while nobody knows yet whether it is the right one.
//!
//! The digest is known at the end of the file, and the image is unpacked while it comes. A few hundred
//! kilobytes can unpack to terabytes, so there is a bound that holds from the first byte on.

use super::DecodeError;
use crate::base::Options;
use crate::catalog::Series;

/// Anything may unpack to this much: more than any image of Ubuntu's for the Pi.
const ALWAYS: u64 = 8 << 30;
/// Beyond that, this many bytes for each packed one. Images of systems come to 4 to 10; a card of which
/// little is used, and which was written with zeros, to 30 and more.
const RATIO: u64 = 64;

/// The most bytes that an image may unpack to. `packed`: its size as it was published, if known.
pub(crate) fn limit(hint: Option<&Series>, packed: Option<u64>, options: &Options) -> u64 {
    match (options.max_raw_len, hint.and_then(|known| known.raw_len_hint)) {
        (Some(limit), _) => limit,
        // the hint is of this release or the one before it, which differ by updates
        (None, Some(len)) => len + len / 8,
        (None, None) => packed.map_or(0, |packed| packed.saturating_mul(RATIO)).max(ALWAYS),
    }
}

/// Refuses an image that says itself that it is larger than `limit`.
pub(crate) fn check(said: Option<u64>, limit: u64) -> Result<(), DecodeError> {
    if said.is_some_and(|said| said > limit) { Err(DecodeError::TooLarge(limit)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Release;

    #[test]
    fn a_release_is_bounded_by_itself_and_others_by_what_they_are_packed_in() {
        let options = Options::default();
        let hint = |release| Release::parse(release).and_then(Series::hint);
        let focal = hint("20.04.5");
        assert_eq!(limit(focal, Some(1 << 40), &options), 3_923_710_848);
        // Of those that came since nothing is known, and of some nobody says it.
        for unknown in ["20.04.4", "24.04.5", "24.04.9"] {
            assert_eq!(limit(hint(unknown), Some(200_000), &options), 8 << 30);
        }
        assert_eq!(limit(None, Some(200_000), &options), 8 << 30);
        assert_eq!(limit(None, None, &options), 8 << 30);
        assert_eq!(limit(None, Some(1 << 30), &options), 64 << 30);
        assert_eq!(limit(None, Some(u64::MAX), &options), u64::MAX);
        let own = Options { max_raw_len: Some(5), ..Options::default() };
        assert_eq!(limit(focal, Some(1 << 40), &own), 5);
        assert!(check(Some(6), 5).is_err() && check(Some(5), 5).is_ok() && check(None, 5).is_ok());
    }
}
