//! A step as one line of a terminal, however narrow that is.

use std::fmt::Write;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::human_duration;
use super::meter::Meter;
use crate::io::human_bytes;

/// The columns of the parts, with the two spaces before each.
const PERCENT: usize = 6;
const RATE: usize = 14;
const LEFT: usize = 8;
const WORD: usize = 5;
const AMOUNT: usize = 26;
/// A bar that is shorter tells nothing.
const BAR: usize = 12;
const BAR_MAX: usize = 42;
/// What a name gets before there is a bar, and at most.
const NAME: usize = 11;
const NAME_WITH_BAR: usize = 30;
const NAME_MAX: usize = 40;

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Its columns.
    pub(super) width: usize,
    /// Whether it shows more than ASCII.
    pub(super) is_unicode: bool,
}

impl Screen {
    /// The line for a step under way. It never reaches the last column, after which some terminals wrap.
    pub(super) fn row(self, what: &str, meter: &Meter, now: Duration) -> String {
        let usable = self.width.saturating_sub(1);
        let percent = meter.percent().map_or_else(String::new, |share| format!("{share}%"));
        let rate = meter.rate(now).map_or_else(String::new, |rate| format!("{}/s", human_bytes(rate)));
        let left = meter.left(now).map_or_else(String::new, short);
        let mut room = usable.saturating_sub(PERCENT + RATE + LEFT);
        let mut take = |columns: usize, least: usize| {
            let fits = room >= columns + least;
            room -= if fits { columns } else { 0 };
            fits
        };
        // how much of an unknown amount is done, a bar does not tell
        let is_known = meter.percent().is_some();
        let has_bar = is_known && take(BAR, NAME_WITH_BAR.min(usable / 3));
        let has_word = take(WORD, NAME_WITH_BAR);
        let has_amount = take(AMOUNT, if is_known { NAME_WITH_BAR } else { NAME });
        let longer = if has_bar { room.saturating_sub(NAME_WITH_BAR).min(BAR_MAX - BAR) } else { 0 };
        let name = (room - longer).min(NAME_MAX).max(NAME.min(usable));

        let mut line = self.fitted(what, name);
        if has_bar {
            line += "  ";
            line += &self.bar(meter, BAR - 2 + longer);
        }
        let _ = write!(line, "  {percent:>4}");
        if has_amount {
            let _ = write!(line, "  {:>24}", amount(meter));
        }
        let _ = write!(line, "  {rate:>12}  {left:>6}");
        if has_word && !left.is_empty() {
            line += " left";
        }
        self.cut(line.trim_end(), usable)
    }

    /// The line for a step that is over, well or not.
    pub(super) fn ended(self, what: &str, meter: &Meter, now: Duration, is_done: bool) -> String {
        let took = human_duration(meter.elapsed(now));
        let ends = if is_done {
            let moved = match meter.position {
                0 => "done in ".to_owned(),
                bytes => format!("{} in ", human_bytes(bytes)),
            };
            let rate =
                meter.average(now).map_or_else(String::new, |rate| format!(", {}/s", human_bytes(rate)));
            [format!("{moved}{took}{rate}"), format!("{moved}{took}"), format!("done in {took}")]
        } else {
            let far = meter.percent().map_or_else(|| amount(meter), |share| format!("{share}%"));
            let stopped = format!("stopped at {far}");
            [format!("{stopped} after {took}"), stopped.clone(), stopped]
        };
        self.over(what, &ends)
    }

    /// `what: end`, with the first of `ends` beside which all of `what` fits.
    fn over(self, what: &str, ends: &[String; 3]) -> String {
        let usable = self.width.saturating_sub(1);
        let room = |end: &String| usable.saturating_sub(end.width() + 2);
        let [longest, .., shortest] = ends;
        let fits = ends.iter().find(|end| what.width() <= room(end));
        // where none does, the name is cut, as little as can be
        let end = fits.unwrap_or(if room(longest) >= NAME_WITH_BAR { longest } else { shortest });
        let what = if what.width() <= room(end) { what.to_owned() } else { self.cut(what, room(end)) };
        self.cut(&format!("{what}: {end}"), usable)
    }

    fn bar(self, meter: &Meter, columns: usize) -> String {
        let (full, empty) = if self.is_unicode { ('█', '░') } else { ('#', '.') };
        let share = match meter.total {
            Some(total @ 1..) => u128::from(meter.position.min(total)) * columns as u128 / u128::from(total),
            _ => 0,
        } as usize;
        (0..columns).map(|column| if column < share { full } else { empty }).collect()
    }

    /// `text` in exactly so many columns: filled up, or without its middle, since a path ends in what differs.
    fn fitted(self, text: &str, columns: usize) -> String {
        let cut = self.cut(text, columns);
        let fill = columns.saturating_sub(cut.width());
        cut + &" ".repeat(fill)
    }

    fn cut(self, text: &str, columns: usize) -> String {
        if text.width() <= columns {
            return text.to_owned();
        }
        let gap = if self.is_unicode { "…" } else { ".." };
        let room = columns.saturating_sub(gap.width());
        let head = prefix(text.chars(), room.div_ceil(2));
        let tail: String = prefix(text.chars().rev(), room - head.width()).chars().rev().collect();
        let mut cut = head + gap + &tail;
        // narrower than the gap itself
        while cut.width() > columns && cut.pop().is_some() {}
        cut
    }
}

/// As many of these characters as fit.
fn prefix(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

fn amount(meter: &Meter) -> String {
    let done = human_bytes(meter.position);
    meter.total.map_or(done.clone(), |total| format!("{done} of {}", human_bytes(total)))
}

/// A time in at most six columns: `45s`, `4m05s`, `12m`, `2h03m`.
fn short(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..600 => format!("{}m{:02}s", s / 60, s % 60),
        s @ 600..3600 => format!("{}m", s / 60),
        s @ 3600..360_000 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => ">99h".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CARD: &str = "writing node-1 to /dev/disk/by-id/usb-Generic_SD_MMC_058F63666485-0:0";

    fn half() -> Meter {
        let mut meter = Meter::new(Some(3_487_742_976), Duration::ZERO);
        for second in 1..=100 {
            meter.advance(13_000_000, SECOND * second);
        }
        meter
    }

    #[test]
    fn a_line_tells_as_much_as_there_is_room_for() {
        let meter = half();
        let row =
            |width, what: &str, is_unicode| Screen { width, is_unicode }.row(what, &meter, SECOND * 100);
        let rows: Vec<_> = [40, 60, 80, 120, 200].map(|width| row(width, CARD, true)).into();
        let short = [row(80, "checking /dev/sdb", true), row(80, "checking /dev/sdb", false)];
        insta::assert_snapshot!(rows.join("\n") + "\n" + &short.join("\n"));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let screen = Screen { width: 80, is_unicode: true };
        let mut rows = Vec::new();
        let mut unknown = Meter::new(None, Duration::ZERO);
        unknown.advance(5 << 20, SECOND * 2);
        rows.push(screen.row("downloading x", &unknown, SECOND * 2));
        rows.push(screen.row("beginning", &Meter::new(Some(10), Duration::ZERO), Duration::ZERO));
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn a_step_that_is_over_says_how_long_it_took() {
        let done = {
            let mut meter = half();
            meter.advance(3_487_742_976 - meter.position, SECOND * 268);
            meter
        };
        let mut rows = Vec::new();
        for width in [40, 60, 80, 200] {
            let screen = Screen { width, is_unicode: true };
            rows.push(screen.ended(CARD, &done, SECOND * 268, true));
            rows.push(screen.ended("checking /dev/sdb", &done, SECOND * 268, true));
            rows.push(screen.ended("checking /dev/sdb", &half(), SECOND * 100, false));
        }
        insta::assert_snapshot!(rows.join("\n"));
    }

    proptest! {
        /// A line that wraps is drawn again below itself, and soon the screen is full of it.
        #[test]
        fn no_line_is_wider_than_its_terminal(
            width in 1_usize..250,
            what in "[a-z /ü漢…-]{0,90}",
            total in proptest::option::of(0_u64..),
            done in any::<u64>(),
            seconds in 0_u64..1_000_000,
            is_unicode in any::<bool>(),
        ) {
            let screen = Screen { width, is_unicode };
            let mut meter = Meter::new(total, Duration::ZERO);
            meter.advance(done, Duration::from_secs(seconds / 2));
            let now = Duration::from_secs(seconds);
            for line in [
                screen.row(&what, &meter, now),
                screen.ended(&what, &meter, now, true),
                screen.ended(&what, &meter, now, false),
            ] {
                prop_assert!(line.width() < width.max(1), "{} columns of {width}: {line:?}", line.width());
            }
            if width >= 40 && let Some(share) = meter.percent() {
                let shown = screen.row(&what, &meter, now);
                prop_assert!(shown.contains(&format!("{share}%")), "{width}: {shown:?}");
                if let Some(left) = meter.left(now) {
                    prop_assert!(shown.contains(&short(left)), "{width}: {shown:?}");
                }
                if let Some(rate) = meter.rate(now) {
                    prop_assert!(shown.contains(&format!("{}/s", human_bytes(rate))), "{width}: {shown:?}");
                }
            }
        }
    }
}
