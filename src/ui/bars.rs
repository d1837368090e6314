//! Progress bars, for a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{visible, visible_line};
use crate::progress::{Progress, Step, Unit};

/// Draws one bar for each step under way, on stderr.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
}

impl Bars {
    /// Nothing is drawn until the first step begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

fn style(unit: Unit, known: bool) -> ProgressStyle {
    let template = match (unit, known) {
        (Unit::Bytes, true) => {
            "{msg:36!} {wide_bar} {binary_bytes:>10}/{binary_total_bytes:10} {binary_bytes_per_sec:>12} {eta:>4} left"
        }
        (Unit::Bytes, false) => "{msg:36!} {spinner} {binary_bytes:>10} {binary_bytes_per_sec:>12}",
        (Unit::Items, true) => "{msg:36!} {wide_bar} {pos:>4}/{len:4}",
        (Unit::Items, false) => "{msg:36!} {spinner} {pos:>4}",
    };
    // A template that does not parse costs the layout, never the work.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bars {
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) -> Box<dyn Step> {
        let bar = match total {
            Some(n) => ProgressBar::new(n),
            None => ProgressBar::no_length(),
        };
        let bar = self.all.add(bar);
        bar.set_style(style(unit, total.is_some()));
        bar.set_message(visible_line(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Box::new(Bar { bar, unit })
    }

    fn note(&self, text: &str) {
        // Drawn above the bars; where the terminal cannot be written to there is no one to tell.
        let _ = self.all.println(visible(text));
    }
}

struct Bar {
    bar: ProgressBar,
    unit: Unit,
}

impl Step for Bar {
    fn advance(&self, n: u64) {
        self.bar.inc(n);
    }
    fn set_position(&self, n: u64) {
        self.bar.set_position(n);
        // what was there before says nothing of the rate
        self.bar.reset_eta();
    }
    fn set_total(&self, total: u64) {
        if self.bar.length().is_none() {
            self.bar.set_style(style(self.unit, true));
        }
        self.bar.set_length(total);
    }
    fn finish(&self) {
        self.bar.finish();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for unit in [Unit::Bytes, Unit::Items] {
            for known in [true, false] {
                let bar = ProgressBar::hidden();
                bar.set_style(style(unit, known));
            }
        }
        let bars = Bars { all: MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()) };
        let step = bars.begin("reading", Unit::Bytes, None);
        step.set_total(10);
        step.advance(4);
        step.finish();
    }
}
