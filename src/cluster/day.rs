//! Days as constants.

use time::{Date, Month};

/// A day that is one; one that cannot be does not compile.
pub(super) const fn day(year: i32, month: Month, day: u8) -> Date {
    let date = Date::from_calendar_date(year, month, day);
    assert!(date.is_ok(), "no such day");
    match date {
        Ok(date) => date,
        Err(_) => Date::MIN,
    }
}
