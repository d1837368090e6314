//! The work of a station: it is looked for cards, and each one that is put in is made by a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use super::ask::{is_answered, question};
use super::label::label;
use super::make::{Came, Ended, Maker, lost};
use super::report::Done;
use super::slots::Slots;
use super::tell::{News, Teller};
use crate::cli::json::{self, StationCard};
use crate::drives::{Drive, Kind};
use crate::error::{Classified, Doing, Failure, one_line};
use crate::ui;

/// How often it is looked for cards.
const POLL: Duration = Duration::from_secs(1);

/// Where cards are made.
pub(super) struct Bench<'a> {
    pub maker: &'a Maker<'a>,
    /// The readers that are used; all where none is named.
    pub only: &'a [PathBuf],
    /// Whether standard output is for a document alone.
    pub is_json: bool,
}

impl Bench<'_> {
    /// Makes cards of the nodes that are left, in batches of at most so many. When it returns, the registry was told
    /// what became of each, or it is said of which it was not.
    pub(super) fn work(&self, batch: usize, done: &mut Done) -> Result<(), Failure> {
        let Maker { claims, untold, nodes, is_meant, again, control, .. } = *self.maker;
        let teller = Teller { claims, untold, nodes, is_meant, again, progress: control.progress() };
        let (news, heard) = unbounded();
        thread::scope(|scope| {
            let teller = scope.spawn(|| teller.work(&heard));
            let worked = self.batches(batch, done, &news);
            // now there is nobody any more who could have news
            drop(news);
            let told = teller.join().unwrap_or_else(|_| Err(lost("telling the registry")));
            worked.and(told)
        })
    }

    fn batches(&self, batch: usize, done: &mut Done, news: &Sender<News>) -> Result<(), Failure> {
        let Maker { nodes, control, fleet, .. } = *self.maker;
        while nodes.wait(control.cancel()) {
            let waiting = nodes.waiting();
            let count = waiting.len().min(batch);
            let text = question(&fleet.listing().cluster, waiting.iter().map(|node| &**node), count);
            if !is_answered(&text, &count.to_string(), control.cancel()) {
                break;
            }
            self.batch(count, done, news)?;
        }
        Ok(())
    }

    /// Waits for cards until `count` are written.
    fn batch(&self, count: usize, done: &mut Done, news: &Sender<News>) -> Result<(), Failure> {
        let Maker { nodes, control, .. } = *self.maker;
        let cancel = control.cancel();
        let mut slots = Slots::of(&self.drives()?, Instant::now());
        let cards = if count == 1 { "card" } else { "cards" };
        control.progress().note(&format!("waiting for {count} {cards}"));
        let (to, came) = unbounded::<(Drive, Result<Came, Failure>)>();
        thread::scope(|scope| {
            let (mut busy, mut written, mut fault) = (0, 0, None);
            loop {
                for (drive, came) in came.try_iter() {
                    busy -= 1;
                    let came = came.and_then(|came| match came {
                        Came::Ended(ended) => self.ended(*ended, done),
                        Came::Left => Ok(false),
                        Came::NoNode => {
                            slots.forget(&drive);
                            Ok(false)
                        }
                    });
                    match came {
                        Ok(is_written) => written += usize::from(is_written),
                        Err(failure) => fault = fault.or(Some(failure)),
                    }
                }
                let is_over = written >= count || fault.is_some() || cancel.is_cancelled() || nodes.is_over();
                if fault.is_some() {
                    // a card that waits for a node does not get one any more
                    nodes.close();
                }
                if is_over && busy == 0 {
                    return fault.map_or(Ok(()), Err);
                }
                let drives = if is_over { Ok(Vec::new()) } else { self.drives() };
                let drives = drives.unwrap_or_else(|failure| {
                    fault = Some(failure);
                    Vec::new()
                });
                let newcomers = if is_over { Vec::new() } else { slots.newcomers(&drives, Instant::now()) };
                for drive in newcomers {
                    // one too many is looked at again, in case another one fails
                    if written + busy >= count || nodes.waiting().is_empty() {
                        slots.forget(drive);
                        continue;
                    }
                    busy += 1;
                    let (to, news, drive) = (to.clone(), news.clone(), drive.clone());
                    scope.spawn(move || {
                        // whatever happens, the one who waits for it hears of it
                        let made = catch_unwind(AssertUnwindSafe(|| self.maker.make(&drive, &news)));
                        let shown = drive.path.display().to_string();
                        let _ = to.send((drive, made.unwrap_or_else(|_| Err(lost(&shown)))));
                    });
                }
                // that it was cancelled is seen above
                let _ = cancel.sleep(POLL);
            }
        })
    }

    /// The drives that cards may be in.
    fn drives(&self) -> Result<Vec<Drive>, Failure> {
        let readers = self.maker.readers;
        let drives = readers.machine.drives(readers.own).doing(|| "looking for cards".to_owned())?;
        let only: Vec<PathBuf> =
            self.only.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
        let is_reader = |drive: &Drive| match only.is_empty() {
            true => drive.kind == Kind::Disk && (drive.removable || drive.hotplug),
            false => only.contains(&drive.path),
        };
        Ok(drives.into_iter().filter(is_reader).collect())
    }

    /// Notes what became of a card, and says it; whether it is done.
    fn ended(&self, ended: Ended, done: &mut Done) -> Result<bool, Failure> {
        let Ended { node, drive, card, time, outcome } = ended;
        let finished = outcome.result.as_ref().ok();
        let is_done = finished.is_some();
        done.cards.push(StationCard {
            node: node.name.clone(),
            drive: outcome.card.clone(),
            model: drive.model.clone(),
            drive_serial: drive.serial.clone(),
            time: time.clone(),
            done: is_done,
            head: outcome.head,
            written_bytes: finished.map(|done| done.written),
            verified_bytes: finished.map(|done| done.verified),
            error: outcome.result.as_ref().err().map(|error| json::Error::new(error.class(), error)),
        });
        // last: what cannot be said any more, to a terminal that was closed, is noted all the same
        match &outcome.result {
            Ok(_) if self.is_json => {}
            Ok(_) => ui::print(&label(self.maker.fleet.listing(), &node, &card, &time))?,
            Err(fault) => {
                let (path, name, result) = (drive.path.display(), &node.name, one_line(fault));
                self.maker.control.progress().warn(&format!(
                    "{path} is not {name}: {result}. Do not use it as it is; {name} is the next one again"
                ));
            }
        }
        Ok(is_done)
    }
}
