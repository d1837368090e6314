//! Which cards were put in since somebody looked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::drives::Drive;

/// What tells a card in a reader from the one before it, as far as readers say.
type Card = (PathBuf, u64, Option<String>);

/// So many times in a row a card must be gone to have been taken out: a reader that is reset goes and comes, with the
/// same card in it.
const GONE: u32 = 2;

/// Cards that are in readers, and were looked at; and how many times in a row they were not there.
#[derive(Debug, Default)]
pub(super) struct Slots {
    known: BTreeMap<Card, u32>,
}

fn card(drive: &Drive) -> Card {
    (drive.path.clone(), drive.size, drive.serial.clone())
}

impl Slots {
    /// What is in readers now is not new.
    pub(super) fn of(drives: &[Drive]) -> Self {
        let mut slots = Self::default();
        slots.newcomers(drives);
        slots
    }

    /// The cards that were not there before. One that was taken out is new when it comes back.
    pub(super) fn newcomers<'d>(&mut self, drives: &'d [Drive]) -> Vec<&'d Drive> {
        self.known.values_mut().for_each(|missed| *missed += 1);
        // a reader without a card has no size
        let there = drives.iter().filter(|drive| drive.size > 0);
        let new = there.filter(|drive| self.known.insert(card(drive), 0).is_none()).collect();
        self.known.retain(|_, missed| *missed < GONE);
        new
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
        let mut slots = Slots::of(&[full.clone(), drive("/dev/sdc", 0)]);
        let mut count = |drives: &[Drive]| slots.newcomers(drives).len();
        // what was there stays as it is
        assert_eq!(count(&[full.clone()]), 0);
        assert_eq!(count(&[full.clone(), other.clone()]), 1);
        assert_eq!(count(&[full.clone(), other.clone()]), 0);
        for _ in 0..GONE {
            assert_eq!(count(&[empty.clone(), other.clone()]), 0);
        }
        assert_eq!(count(&[full.clone(), other.clone()]), 1);
        // a reader that is reset goes and comes
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[full.clone(), other.clone()]), 0);
        // one that was pulled out is plugged in later
        (0..GONE).for_each(|_| assert_eq!(count(&[full.clone()]), 0));
        assert_eq!(count(&[full.clone(), other.clone()]), 1);
        slots.forget(&other);
        assert_eq!(slots.newcomers(&[other]).len(), 1);
    }
}
