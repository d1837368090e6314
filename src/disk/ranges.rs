//! Sets of bytes: which parts of a device are meant.

use std::ops::Range;

/// A set of bytes, kept as ascending ranges of which no two touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// No byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a range; ranges that come in order are added at once.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        match self.0.last_mut() {
            Some(last) if range.start > last.end => self.0.push(range),
            Some(last) if range.start >= last.start => last.end = last.end.max(range.end),
            None => self.0.push(range),
            Some(_) => {
                let from = self.0.partition_point(|r| r.end < range.start);
                let until = self.0.partition_point(|r| r.start <= range.end);
                let start = self.0.get(from).map_or(range.start, |r| r.start.min(range.start));
                let end = match until.checked_sub(1).filter(|last| *last >= from) {
                    Some(last) => self.0[last].end.max(range.end),
                    None => range.end,
                };
                let merged = if from < until { start..end } else { range };
                self.0.splice(from..until, [merged]);
            }
        }
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().cloned()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of the set lies in `window`, ascending.
    pub fn within(&self, window: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let first = self.0.partition_point(|r| r.end <= window.start);
        let ranges = self.0.get(first..).unwrap_or_default().iter();
        ranges
            .take_while({
                let end = window.end;
                move |r| r.start < end
            })
            .map(move |r| r.start.max(window.start)..r.end.min(window.end))
    }

    /// `count` places spread evenly over the bytes of the set: what of it lies in the `len` bytes from each on,
    /// up to the first gap.
    pub(crate) fn samples(&self, count: u64, len: u64) -> impl Iterator<Item = Range<u64>> {
        let total = self.total();
        (0..count).filter_map(move |n| {
            let mut skip = n * total / count;
            let range = self.iter().find(|range| {
                let here = range.end - range.start;
                let is_here = skip < here;
                skip -= if is_here { 0 } else { here };
                is_here
            })?;
            let start = range.start + skip;
            Some(start..range.end.min(start + len))
        })
    }

    /// The bytes of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Self::new();
        for range in self.iter() {
            let mut at = range.start;
            for hole in other.within(range.clone()) {
                left.insert(at..hole.start);
                at = hole.end;
            }
            left.insert(at..range.end);
        }
        left
    }

    /// The set with every range widened to multiples of `unit`, at most to `end`, and with gaps of
    /// less than `gap` bytes filled.
    #[must_use]
    pub fn rounded(&self, unit: u64, gap: u64, end: u64) -> Self {
        let mut wide: Vec<Range<u64>> = Vec::new();
        for range in self.iter() {
            let (from, to) = (range.start - range.start % unit, range.end.next_multiple_of(unit).min(end));
            match wide.last_mut() {
                Some(last) if from < last.end.saturating_add(gap.max(1)) => last.end = last.end.max(to),
                _ if from < to => wide.push(from..to),
                _ => {}
            }
        }
        Self(wide)
    }
}

/// Cuts a range into pieces of `size` bytes, of which the last one may be shorter.
pub(crate) fn cut(range: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    range.clone().step_by(size as usize).map(move |start| start..range.end.min(start + size))
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEN: usize = 200;

    fn model(ranges: &[Range<u64>]) -> Vec<bool> {
        let mut bytes = vec![false; LEN];
        for range in ranges {
            bytes[range.start as usize..range.end as usize].fill(true);
        }
        bytes
    }

    fn bytes(set: &Ranges) -> Vec<bool> {
        let ranges: Vec<_> = set.iter().collect();
        assert!(ranges.iter().all(|r| r.start < r.end), "{ranges:?}");
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{ranges:?}");
        model(&ranges)
    }

    fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
        let one = (0..LEN as u64, 0..20u64).prop_map(|(at, len)| at..(at + len).min(LEN as u64));
        proptest::collection::vec(one, 0..25)
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_into_it(some in ranges(), others in ranges(), at in 0..LEN as u64, len in 0..90u64) {
            let (a, b) = (Ranges::from_iter(some.clone()), Ranges::from_iter(others.clone()));
            let (in_a, in_b) = (model(&some), model(&others));
            prop_assert_eq!(bytes(&a), in_a.clone());
            prop_assert_eq!(a.total(), in_a.iter().filter(|b| **b).count() as u64);
            let left: Vec<bool> = in_a.iter().zip(&in_b).map(|(a, b)| *a && !*b).collect();
            prop_assert_eq!(bytes(&a.without(&b)), left);
            let window = at..(at + len).min(LEN as u64);
            let inside: Ranges = a.within(window.clone()).collect();
            let there: Vec<bool> = in_a.iter().enumerate().map(|(n, b)| *b && window.contains(&(n as u64))).collect();
            prop_assert_eq!(bytes(&inside), there);
        }

        #[test]
        fn samples_are_of_the_set_and_spread_over_it(some in ranges(), count in 1..9u64, len in 1..30u64) {
            let set = Ranges::from_iter(some);
            let samples: Vec<_> = set.samples(count, len).collect();
            prop_assert_eq!(samples.len() as u64, if set.is_empty() { 0 } else { count });
            prop_assert!(samples.iter().all(|s| s.start < s.end && s.end - s.start <= len));
            prop_assert!(samples.iter().all(|s| Ranges::from_iter([s.clone()]).without(&set).is_empty()));
            // as many bytes of the set before each as it is its turn
            for (n, sample) in (0..).zip(&samples) {
                let before: u64 = set.within(0..sample.start).map(|r| r.end - r.start).sum();
                prop_assert_eq!(before, n * set.total() / count);
            }
        }

        #[test]
        fn pieces_are_the_whole(start in 0..50u64, len in 0..50u64, size in 1..20u64) {
            let pieces: Vec<_> = cut(start..start + len, size).collect();
            prop_assert!(pieces.iter().all(|p| p.start < p.end && p.end - p.start <= size));
            prop_assert_eq!(pieces.len() as u64, len.div_ceil(size));
            prop_assert_eq!(pieces.into_iter().flatten().collect::<Vec<_>>(), (start..start + len).collect::<Vec<_>>());
        }

        #[test]
        fn rounding_loses_nothing(some in ranges(), gap in 0..30u64) {
            let set = Ranges::from_iter(some);
            let wide = set.rounded(8, gap, LEN as u64);
            prop_assert!(set.without(&wide).is_empty());
            prop_assert!(wide.iter().all(|r| r.start % 8 == 0 && (r.end % 8 == 0 || r.end == LEN as u64)));
            let all: Vec<_> = wide.iter().collect();
            prop_assert!(all.windows(2).all(|pair| pair[1].start - pair[0].end >= gap.max(1)));
        }
    }
}
