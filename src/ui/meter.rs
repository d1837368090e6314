//! How far a step is, how fast it was over the last seconds, and how long it will still take.

use std::collections::VecDeque;
use std::time::Duration;

/// The rate is that of so long: long enough for a card that stores in bursts, short enough to tell that one stalls.
const WINDOW: Duration = Duration::from_secs(10);
/// Positions are kept at most this often.
const GRAIN: Duration = Duration::from_millis(250);
/// Before this a rate is a guess.
const LEAST: Duration = Duration::from_millis(500);

/// How far a step is. Times are counted from any fixed moment.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) total: Option<u64>,
    pub(super) position: u64,
    begun: Duration,
    /// What was done by this step itself, and not before.
    own: u64,
    /// When the step was where, oldest first; never empty.
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    pub(super) fn new(total: Option<u64>, now: Duration) -> Self {
        Self { total, position: 0, begun: now, own: 0, samples: VecDeque::from([(now, 0)]) }
    }

    pub(super) fn advance(&mut self, n: u64, now: Duration) {
        self.position = self.position.saturating_add(n);
        self.own = self.own.saturating_add(n);
        let is_new = |(at, _): &(Duration, u64)| now.saturating_sub(*at) >= GRAIN;
        if self.samples.back().is_none_or(is_new) {
            self.samples.push_back((now, self.position));
        }
        // the newest one that is older than the window stays: the rate is counted from it
        while self.samples.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// What was there before says nothing of the rate.
    pub(super) fn set_position(&mut self, n: u64, now: Duration) {
        self.position = n;
        self.samples = VecDeque::from([(now, n)]);
    }

    /// In percent, rounded down: 100 is only what is complete.
    pub(super) fn percent(&self) -> Option<u64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((u128::from(self.position) * 100 / u128::from(total)).min(100) as u64)
    }

    /// Bytes in a second over the last seconds.
    pub(super) fn rate(&self, now: Duration) -> Option<u64> {
        let (at, from) = *self.samples.front()?;
        let seconds = now.checked_sub(at).filter(|passed| *passed > LEAST)?.as_secs_f64();
        Some((self.position.saturating_sub(from) as f64 / seconds) as u64)
    }

    /// How long it takes to the end at that rate; `None` also where that cannot be known.
    pub(super) fn left(&self, now: Duration) -> Option<Duration> {
        let rate = self.rate(now).filter(|rate| *rate > 0)?;
        let left = self.total?.checked_sub(self.position).filter(|left| *left > 0)?;
        Some(Duration::from_secs(left.div_ceil(rate)))
    }

    pub(super) fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.begun)
    }

    /// Bytes in a second from begin to end, where the step lasted long enough to say so.
    pub(super) fn average(&self, now: Duration) -> Option<u64> {
        let seconds = Some(self.elapsed(now)).filter(|passed| *passed > LEAST)?.as_secs_f64();
        Some((self.own as f64 / seconds) as u64).filter(|rate| *rate > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::new(Some(1000), Duration::ZERO);
        assert_eq!((meter.rate(Duration::ZERO), meter.left(Duration::ZERO)), (None, None));
        for second in 1..=30 {
            meter.advance(if second <= 15 { 1 } else { 20 }, SECOND * second);
        }
        assert_eq!(meter.rate(SECOND * 30), Some(20));
        assert_eq!(meter.position, 315);
        assert_eq!(meter.left(SECOND * 30), Some(SECOND * 35));
        assert_eq!(meter.average(SECOND * 30), Some(10));
        // nothing comes any more
        assert_eq!(meter.rate(SECOND * 45), Some(8));
        meter.advance(0, SECOND * 600);
        meter.advance(0, SECOND * 611);
        assert_eq!((meter.rate(SECOND * 611), meter.left(SECOND * 611)), (Some(0), None));
    }

    #[test]
    fn what_an_earlier_run_did_is_no_speed() {
        let mut meter = Meter::new(Some(1000), Duration::ZERO);
        meter.set_position(900, SECOND);
        meter.advance(10, SECOND * 2);
        assert_eq!((meter.rate(SECOND * 2), meter.percent()), (Some(10), Some(91)));
        assert_eq!(meter.average(SECOND * 2), Some(5));
    }

    #[test]
    fn little_memory_is_kept_and_nothing_is_complete_too_early() {
        let mut meter = Meter::new(Some(10_000_000), Duration::ZERO);
        for millisecond in 0..60_000 {
            meter.advance(166, Duration::from_millis(millisecond));
        }
        assert!(meter.samples.len() <= 42, "{}", meter.samples.len());
        assert_eq!(meter.percent(), Some(99));
        meter.total = Some(0);
        assert_eq!((meter.percent(), meter.left(SECOND * 60)), (None, None));
    }
}
