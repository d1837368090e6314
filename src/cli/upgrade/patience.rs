//! How long something may take, as it is typed.

use std::time::Duration;

/// A week: longer is a slip.
const MOST: u64 = 7 * 24 * 60 * 60;

/// Takes `90s`, `20m` and `2h`.
pub(super) fn patience(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "must be a number of seconds, minutes or hours, such as 90s, 20m or 2h";
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(FORM)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return Err(FORM),
    };
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let seconds = number.and_then(|number| number.checked_mul(factor)).ok_or(FORM)?;
    match seconds {
        30..=MOST => Ok(Duration::from_secs(seconds)),
        _ => Err("must be between 30s and 168h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_minutes_or_hours() {
        for (text, seconds) in [("90s", 90), ("20m", 1200), ("2h", 7200), ("168h", MOST)] {
            assert_eq!(patience(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "20", "m", "-1m", "+1m", "1.5h", "20min", "9ü", "29s", "0h", "169h", "99999999999999999999h"]
        {
            assert!(patience(bad).is_err(), "{bad}");
        }
    }
}
