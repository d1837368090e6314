//! Progress bars, for a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{visible, visible_line};
use crate::progress::{Progress, Step};

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

fn style(known: bool) -> ProgressStyle {
    let template = match known {
        true => {
            "{msg:36!} {wide_bar} {binary_bytes:>10}/{binary_total_bytes:10} {binary_bytes_per_sec:>12} {eta:>4} left"
        }
        false => "{msg:36!} {spinner} {binary_bytes:>10} {binary_bytes_per_sec:>12}",
    };
    // A template that does not parse costs the layout, never the work.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Step> {
        let bar = match total {
            Some(n) => ProgressBar::new(n),
            None => ProgressBar::no_length(),
        };
        let bar = self.all.add(bar);
        bar.set_style(style(total.is_some()));
        bar.set_message(visible_line(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Box::new(Bar(bar))
    }

    fn note(&self, text: &str) {
        // Drawn above the bars; where the terminal cannot be written to there is no one to tell.
        let _ = self.all.println(visible(text));
    }
}

struct Bar(ProgressBar);

impl Step for Bar {
    fn advance(&self, n: u64) {
        self.0.inc(n);
    }
    fn set_position(&self, n: u64) {
        self.0.set_position(n);
        // what was there before says nothing of the rate
        self.0.reset_eta();
    }
    fn set_total(&self, total: u64) {
        if self.0.length().is_none() {
            self.0.set_style(style(true));
        }
        self.0.set_length(total);
    }
    fn finish(&self) {
        self.0.finish();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for known in [true, false] {
            ProgressBar::hidden().set_style(style(known));
        }
        let bars = Bars { all: MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()) };
        let step = bars.begin("reading", None);
        step.set_total(10);
        step.advance(4);
        step.finish();
    }
}
