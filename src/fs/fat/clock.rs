//! The time that an edited FAT gets.

/// A clock that stands still.
#[derive(Debug)]
pub struct Clock {
    seconds: i64,
}

impl Clock {
    /// The clock that stands at `seconds` since 1970, UTC.
    #[must_use]
    pub const fn new(seconds: i64) -> Self {
        Self { seconds }
    }

    /// Where it stands, in seconds since 1970.
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        self.seconds
    }
}

impl fatfs::TimeProvider for Clock {
    fn get_current_date(&self) -> fatfs::Date {
        self.get_current_date_time().date
    }

    /// As FAT keeps time: from 1980 to 2107; what lies outside is moved to the end.
    fn get_current_date_time(&self) -> fatfs::DateTime {
        // 1980-01-01 00:00:00 and 2107-12-31 23:59:58 UTC
        let seconds = self.seconds.clamp(315_532_800, 4_354_819_198);
        let time =
            time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let date = fatfs::Date {
            year: u16::try_from(time.year()).unwrap_or(1980).max(1980),
            month: u16::from(u8::from(time.month())),
            day: u16::from(time.day()),
        };
        let clock = fatfs::Time {
            hour: u16::from(time.hour()),
            min: u16::from(time.minute()),
            sec: u16::from(time.second()),
            millis: 0,
        };
        fatfs::DateTime { date, time: clock }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fatfs::TimeProvider;

    #[test]
    fn what_fat_cannot_keep_is_moved_to_the_nearest_that_it_can() {
        for (seconds, shown) in [
            (0, "1980-1-1 0:0:0"),
            (i64::MIN, "1980-1-1 0:0:0"),
            (1_700_000_000, "2023-11-14 22:13:20"),
            (i64::MAX, "2107-12-31 23:59:58"),
        ] {
            let fatfs::DateTime { date, time } = Clock::new(seconds).get_current_date_time();
            let fatfs::Time { hour, min, sec, .. } = time;
            assert_eq!(format!("{}-{}-{} {hour}:{min}:{sec}", date.year, date.month, date.day), shown);
        }
    }
}
