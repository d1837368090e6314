//! Which cards were put in since somebody looked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::drives::Drive;

/// What tells a card in a reader from the one before it, as far as readers say.
type Card = (PathBuf, u64, Option<String>);

/// For so long a card must be gone to have been taken out: a reader that is reset goes and comes, with the same card in
/// it.
const GONE: Duration = Duration::from_secs(2);

/// Cards that are in readers, and were looked at; and since when they are not there.
#[derive(Debug, Default)]
pub(super) struct Slots {
    known: BTreeMap<Card, Option<Instant>>,
}

fn card(drive: &Drive) -> Card {
    (drive.path.clone(), drive.size, drive.serial.clone())
}

impl Slots {
    /// What is in readers `now` is not new.
    pub(super) fn of(drives: &[Drive], now: Instant) -> Self {
        let mut slots = Self::default();
        slots.newcomers(drives, now);
        slots
    }

    /// The cards that were not there before. One that was taken out is new when it comes back.
    pub(super) fn newcomers<'d>(&mut self, drives: &'d [Drive], now: Instant) -> Vec<&'d Drive> {
        // a reader without a card has no size
        let there: Vec<&Drive> = drives.iter().filter(|drive| drive.size > 0).collect();
        for (known, gone) in &mut self.known {
            if !there.iter().any(|drive| card(drive) == *known) {
                gone.get_or_insert(now);
            }
        }
        let is_away = |since: Instant| now.saturating_duration_since(since) >= GONE;
        self.known.retain(|_, gone| !gone.is_some_and(is_away));
        there.into_iter().filter(|drive| self.known.insert(card(drive), None).is_none()).collect()
    }

    /// Nothing came of this one, which is new the next time again.
    pub(super) fn forget(&mut self, drive: &Drive) {
        self.known.remove(&card(drive));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drives::{Bus, Content, DeviceNumber, Kind};

    fn drive(path: &str, size: u64) -> Drive {
        Drive {
            path: path.into(),
            number: DeviceNumber { major: 8, minor: 0 },
            size,
            logical_sector: 512,
            model: None,
            serial: None,
            bus: Bus::Usb,
            kind: Kind::Disk,
            removable: true,
            hotplug: true,
            read_only: false,
            content: Content::default(),
            partitions: Vec::new(),
            uses: Vec::new(),
            backing: None,
            ids: Vec::new(),
        }
    }

    #[test]
    fn a_card_is_new_once_each_time_it_is_put_in() {
        let (empty, full) = (drive("/dev/sdb", 0), drive("/dev/sdb", 32_000_000_000));
        let other = drive("/dev/sdc", 16_000_000_000);
        let begin = Instant::now();
        let at = |millis: u64| begin + Duration::from_millis(millis);
        let mut slots = Slots::of(&[full.clone(), drive("/dev/sdc", 0)], at(0));
        let mut count = |millis: u64, drives: &[Drive]| slots.newcomers(drives, at(millis)).len();
        // what was there stays as it is, however seldom somebody looks
        assert_eq!(count(60_000, std::slice::from_ref(&full)), 0);
        assert_eq!(count(61_000, &[full.clone(), other.clone()]), 1);
        assert_eq!(count(62_000, &[full.clone(), other.clone()]), 0);
        // for two seconds its reader was empty
        for millis in [63_000, 64_000] {
            assert_eq!(count(millis, &[empty.clone(), other.clone()]), 0);
        }
        assert_eq!(count(65_000, &[full.clone(), other.clone()]), 1);
        // a reader that is reset goes and comes
        for millis in [66_000, 66_500, 67_000, 67_999] {
            assert_eq!(count(millis, &[]), 0);
        }
        assert_eq!(count(67_999, &[full.clone(), other.clone()]), 0);
        // one that was pulled out is plugged in later
        for millis in [70_000, 72_000] {
            assert_eq!(count(millis, std::slice::from_ref(&full)), 0);
        }
        assert_eq!(count(72_500, &[full.clone(), other.clone()]), 1);
        slots.forget(&other);
        assert_eq!(slots.newcomers(&[other], at(73_000)).len(), 1);
    }
}
