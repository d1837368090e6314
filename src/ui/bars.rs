//! Progress on a terminal: a line for each step under way, drawn again as it goes on, and one that stays when it ends.

use std::fmt::Write;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::meter::Meter;
use super::row::Screen;
use super::say::{columns, message};
use super::visible_line;
use crate::progress::{Progress, Step};

/// How often lines are drawn again where nothing happens, so that a stall is seen.
const TICK: Duration = Duration::from_millis(200);
/// What is taken for the width where there is no terminal any more.
const WIDTH: usize = 80;

/// Draws a line for each step under way, on stderr.
#[derive(Debug)]
pub struct Bars {
    drawn: Arc<Drawn>,
    begun: Instant,
}

/// What is on the terminal.
#[derive(Debug, Default)]
struct Drawn {
    all: MultiProgress,
    under_way: Mutex<usize>,
}

impl Drawn {
    fn under_way(&self) -> MutexGuard<'_, usize> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints lines that stay, where so many bars are drawn below them. Above bars indicatif fills lines with spaces to the
    /// terminal's edge instead of ending them, which shows where they are copied, or the window is drawn wider.
    fn print(&self, under_way: usize, text: &str) {
        // Where the terminal cannot be written to there is no one to tell.
        let _ = match under_way {
            0 => writeln!(io::stderr(), "{text}"),
            _ => self.all.println(text),
        };
    }

    fn say(&self, text: &str) {
        let under_way = self.under_way();
        self.print(*under_way, &message(text));
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Bars {
    /// Nothing is drawn until the first step begins.
    #[must_use]
    pub fn new() -> Self {
        Self { drawn: Arc::default(), begun: Instant::now() }
    }
}

/// The terminal as it is now.
fn screen() -> Screen {
    Screen { width: columns().unwrap_or(WIDTH), is_unicode: is_unicode(|name| std::env::var(name).ok()) }
}

/// Whether characters are UTF-8, as the first of these variables that is set says (POSIX, XBD 8.2).
fn is_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name).filter(|v| !v.is_empty()));
    set.is_some_and(|locale| locale.to_uppercase().replace('-', "").contains("UTF8"))
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Step> {
        let step = Arc::new(Shared {
            what: visible_line(what).into_owned(),
            begun: self.begun,
            meter: Mutex::new(Meter::new(total, self.begun.elapsed())),
        });
        let shared = Arc::clone(&step);
        let row = move |_: &ProgressState, out: &mut dyn Write| {
            // a line that is not drawn costs nothing but itself
            let _ = out.write_str(&shared.row());
        };
        // "{row}" always parses, and the default is a line, too
        let style = ProgressStyle::with_template("{row}").unwrap_or_else(|_| ProgressStyle::default_bar());
        // indicatif asks for a length; what is drawn is the meter's
        let mut under_way = self.drawn.under_way();
        *under_way += 1;
        let bar = self.drawn.all.add(ProgressBar::new(1)).with_style(style.with_key("row", row));
        bar.enable_steady_tick(TICK);
        Box::new(Bar { bar, drawn: Arc::clone(&self.drawn), step, ended: AtomicBool::new(false) })
    }

    fn note(&self, text: &str) {
        self.drawn.say(text);
    }

    fn wait(&self, text: &str) {
        self.note(text);
    }

    fn warn(&self, text: &str) {
        self.drawn.say(text);
    }

    fn fail(&self, text: &str) {
        self.warn(text);
    }
}

/// A step, as its line is drawn from.
struct Shared {
    what: String,
    begun: Instant,
    meter: Mutex<Meter>,
}

impl Shared {
    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self) -> String {
        screen().row(&self.what, &self.meter(), self.begun.elapsed())
    }
}

struct Bar {
    bar: ProgressBar,
    drawn: Arc<Drawn>,
    step: Arc<Shared>,
    ended: AtomicBool,
}

impl Bar {
    /// Takes the line away and leaves one that stays, once.
    fn end(&self, is_done: bool) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let line = screen().ended(&self.step.what, &self.step.meter(), self.step.begun.elapsed(), is_done);
        let mut under_way = self.drawn.under_way();
        self.bar.finish_and_clear();
        *under_way = under_way.saturating_sub(1);
        self.drawn.print(*under_way, &line);
    }
}

impl Step for Bar {
    fn advance(&self, n: u64) {
        self.step.meter().advance(n, self.step.begun.elapsed());
    }
    fn set_position(&self, n: u64) {
        self.step.meter().set_position(n, self.step.begun.elapsed());
    }
    fn set_total(&self, total: u64) {
        self.step.meter().total = Some(total);
    }
    fn finish(&self) {
        self.end(true);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_what_the_locale_says() {
        for (set, expected) in [
            (&[("LANG", "de_DE.UTF-8")][..], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8"), ("LC_ALL", "")], true),
            (&[], false),
        ] {
            let variable = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(is_unicode(variable), expected, "{set:?}");
        }
    }
}
