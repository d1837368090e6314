//! Times for people.

use std::time::Duration;

/// A duration as `850 ms`, `12.3 s`, `4 min 5 s` or `2 h 3 min`.
#[must_use]
pub fn human_duration(d: Duration) -> String {
    let s = d.as_secs();
    if d < Duration::from_secs(1) {
        format!("{} ms", d.as_millis())
    } else if s < 60 {
        format!("{:.1} s", d.as_secs_f64())
    } else if s < 3600 {
        format!("{} min {} s", s / 60, s % 60)
    } else {
        format!("{} h {} min", s / 3600, s % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_two_parts() {
        for (ms, text) in
            [(850, "850 ms"), (12_340, "12.3 s"), (245_000, "4 min 5 s"), (7_380_000, "2 h 3 min")]
        {
            assert_eq!(human_duration(Duration::from_millis(ms)), text);
        }
    }
}
