//! The work of a station: a card is put in, a node is taken, and what became of it is noted.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ask::{is_answered, question};
use super::label::label;
use super::report::Done;
use super::slots::Slots;
use crate::base::Base;
use crate::cli::fleets::content;
use crate::cli::json::{self, StationCard};
use crate::cli::readers::Readers;
use crate::disk::ioctl::reread_partitions;
use crate::drives::{Drive, Kind};
use crate::error::{Classified, Doing, ErrorClass, Failure, one_line};
use crate::fleet::{self, Claims, Fleet, ListedNode, Ready, State};
use crate::project;
use crate::sink::card::{DriveCard, Flash, Options, Outcome, Target};
use crate::ui;
use crate::workflow::Control;

/// How often it is looked for cards.
const POLL: Duration = Duration::from_secs(1);

/// What cards are made with.
pub(super) struct Bench<'a> {
    pub fleet: &'a Fleet<'a>,
    pub claims: &'a Claims<'a>,
    pub ready: &'a Ready<'a>,
    pub base: &'a Base,
    pub readers: &'a Readers<'a>,
    /// The readers that are used; all where none is named.
    pub only: &'a [PathBuf],
    /// Whether nodes were named, which are made whoever has them.
    pub is_meant: bool,
    pub control: &'a Control,
    /// Whether standard output is for a document alone.
    pub is_json: bool,
}

/// A card that is to be written.
struct Begun<'a> {
    node: &'a ListedNode,
    drive: Drive,
    card: Arc<DriveCard>,
}

/// A card that was written, or not.
struct Ended<'a> {
    node: &'a ListedNode,
    drive: Drive,
    outcome: Option<Outcome>,
}

/// What the registry is still to be told.
struct News<'a> {
    node: &'a ListedNode,
    state: State,
    time: String,
    card: String,
    result: String,
}

/// What is left to do.
struct List<'a> {
    queue: VecDeque<&'a ListedNode>,
    news: VecDeque<News<'a>>,
}

impl<'a> Bench<'a> {
    /// Makes cards of these nodes, in batches of at most so many.
    pub(super) fn work(
        &self,
        queue: VecDeque<&'a ListedNode>,
        batch: usize,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let cancel = self.control.cancel();
        let mut list = List { queue, news: VecDeque::new() };
        let mut worked = Ok(());
        while worked.is_ok() && !list.queue.is_empty() && !cancel.is_cancelled() {
            let count = list.queue.len().min(batch);
            let text = question(&self.fleet.listing().cluster, list.queue.iter().copied(), count);
            if !is_answered(&text, &count.to_string(), cancel) {
                break;
            }
            worked = self.batch(count, &mut list, done);
        }
        // at the end it is said, and not tried again
        let told = self.tell(&mut list);
        done.left.extend(list.queue.iter().map(|node| node.name.clone()));
        worked?;
        let untold: Vec<&str> = list.news.iter().map(|news| news.node.name.as_str()).collect();
        told.doing(|| format!("telling the registry what became of {}", untold.join(", ")))
    }

    /// Waits for cards until `count` are written.
    fn batch(&self, count: usize, list: &mut List<'a>, done: &mut Done) -> Result<(), Failure> {
        let cancel = self.control.cancel();
        let mut slots = Slots::of(&self.drives()?);
        let (to, ended) = unbounded();
        thread::scope(|scope| {
            let (mut busy, mut written, mut fault) = (0, 0, None);
            loop {
                while let Ok(card) = ended.try_recv() {
                    busy -= 1;
                    match self.ended(card, list, done) {
                        Ok(is_done) => written += usize::from(is_done),
                        Err(failure) => fault = Some(failure),
                    }
                }
                let is_over =
                    written >= count || list.queue.is_empty() || fault.is_some() || cancel.is_cancelled();
                if is_over && busy == 0 {
                    return fault.map_or(Ok(()), Err);
                }
                // what the registry was not told is told when it can be reached again
                if let Err(failure) = but_for_the_network(self.tell(list)) {
                    fault = Some(failure);
                }
                // who is not waited for is not looked at: what is in readers then is not new later
                let looked = if is_over { None } else { Some(self.drives()) };
                let drives = match looked.transpose() {
                    Ok(drives) => drives,
                    Err(failure) => {
                        fault = Some(failure);
                        None
                    }
                };
                for drive in drives.as_deref().map(|drives| slots.newcomers(drives)).unwrap_or_default() {
                    // one too many waits for the next batch
                    let begun = match written + busy < count && fault.is_none() {
                        true => self.begin(drive, list, done),
                        false => Ok(None),
                    };
                    match begun {
                        Ok(Some(card)) => {
                            busy += 1;
                            let to = to.clone();
                            scope.spawn(move || self.write(card, &to));
                        }
                        Ok(None) => {}
                        Err(failure) if failure.class() == ErrorClass::Network => {
                            self.control.progress().note(&format!("{failure}; trying again"));
                            slots.forget(drive);
                        }
                        Err(failure) => fault = Some(failure),
                    }
                }
                // that it was cancelled is seen above
                let _ = cancel.sleep(POLL);
            }
        })
    }

    /// The drives that cards may be in.
    fn drives(&self) -> Result<Vec<Drive>, Failure> {
        let drives =
            self.readers.machine.drives(self.readers.own).doing(|| "looking for cards".to_owned())?;
        let only: Vec<PathBuf> =
            self.only.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
        let is_reader = |drive: &Drive| match only.is_empty() {
            true => drive.kind == Kind::Disk && (drive.removable || drive.hotplug),
            false => only.contains(&drive.path),
        };
        Ok(drives.into_iter().filter(is_reader).collect())
    }

    /// Takes a card that was put in, and a node for it; `None` where it cannot be written, which is said.
    fn begin(
        &self,
        drive: &Drive,
        list: &mut List<'a>,
        done: &mut Done,
    ) -> Result<Option<Begun<'a>>, Failure> {
        let held = self.readers.safe(&drive.path).and_then(|safe| self.readers.hold(&drive.path, &safe));
        let (drive, card) = match held {
            Ok(held) => held,
            Err(failure) => {
                self.control.progress().note(&format!("{failure}; take it out"));
                return Ok(None);
            }
        };
        while let Some(node) = list.queue.pop_front() {
            let time = now()?;
            let other = match self.is_meant {
                true => self.claims.seize(node, &time).map(|()| None),
                false => self.claims.take(node, &time),
            };
            match other {
                Ok(None) => {
                    let text = format!("{} becomes {}", drive.path.display(), node.name);
                    self.control.progress().note(&text);
                    return Ok(Some(Begun { node, drive, card: Arc::new(card) }));
                }
                Ok(Some(claim)) => {
                    let text = format!(
                        "{} is taken by the station {} since {}",
                        node.name, claim.station, claim.time
                    );
                    self.control.progress().note(&text);
                    done.taken.push(claim);
                }
                Err(fault) => {
                    list.queue.push_front(node);
                    return Err(fault.into());
                }
            }
        }
        Ok(None)
    }

    /// Writes a card, as `flash` does.
    fn write(&self, begun: Begun<'a>, to: &Sender<Ended<'a>>) {
        let Begun { node, drive, card } = begun;
        let control = self.control;
        let card_name = drive.path.display().to_string();
        let target = Target { card_name, node: node.name.clone(), card: Arc::clone(&card) as _ };
        let options = Options { verify: true, full: false, wipe: false };
        let flash = Flash::new(vec![target], options, control.cancel());
        let contents = |name: &str| content(self.ready, name, self.base);
        let outcome = flash.finish(self.base.path(), &contents, control.progress()).into_iter().next();
        // Only root may; udev does the same when the drive is closed.
        if let Err(e) = reread_partitions(card.file()) {
            tracing::debug!("{}: re-reading the partition table: {e}", drive.path.display());
        }
        drop(card);
        // the one who waits is there until all have ended
        let _ = to.send(Ended { node, drive, outcome });
    }

    /// Notes what became of a card; whether it is done.
    fn ended(&self, ended: Ended<'a>, list: &mut List<'a>, done: &mut Done) -> Result<bool, Failure> {
        let Ended { node, drive, outcome } = ended;
        let time = now()?;
        let words = [&drive.model, &drive.serial].into_iter().flatten().cloned().collect::<Vec<_>>();
        let card = if words.is_empty() { drive.path.display().to_string() } else { words.join(" ") };
        let Some(outcome) = outcome else {
            return Err(Failure::new(ErrorClass::Internal, format!("{} ended without a result", node.name)));
        };
        let finished = outcome.result.as_ref().ok();
        let (state, result) = match &outcome.result {
            Ok(_) => (State::Written, "written and read back".to_owned()),
            Err(fault) => (State::Free, one_line(fault)),
        };
        match outcome.result.is_ok() {
            true if !self.is_json => ui::print(&label(self.fleet.listing(), node, &card, &time))?,
            true => {}
            false => {
                let (path, name) = (drive.path.display(), &node.name);
                self.control.progress().warn(&format!(
                    "{path} is not {name}: {result}. Do not use it as it is; {name} is the next one again"
                ));
                list.queue.push_front(node);
            }
        }
        done.cards.push(StationCard {
            node: node.name.clone(),
            drive: outcome.card.clone(),
            model: drive.model.clone(),
            drive_serial: drive.serial.clone(),
            time: time.clone(),
            done: finished.is_some(),
            head: outcome.head,
            written_bytes: finished.map(|done| done.written),
            verified_bytes: finished.map(|done| done.verified),
            error: outcome.result.as_ref().err().map(|error| json::Error::new(error.class(), error)),
        });
        list.news.push_back(News { node, state, time, card, result });
        Ok(finished.is_some())
    }

    /// Tells the registry what it was not told yet.
    fn tell(&self, list: &mut List<'a>) -> fleet::Result<()> {
        while let Some(news) = list.news.front() {
            self.claims.end(news.node, news.state, &news.time, &news.card, &news.result)?;
            list.news.pop_front();
        }
        Ok(())
    }
}

/// What this machine's clock says.
fn now() -> Result<String, Failure> {
    let seconds = project::clock()?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    Ok(time.unwrap_or_else(|| seconds.to_string()))
}

/// Of a failure to reach the registry nothing is lost.
fn but_for_the_network(told: fleet::Result<()>) -> Result<(), Failure> {
    match told {
        Err(fault) if fault.class() == ErrorClass::Network => Ok(()),
        told => Ok(told?),
    }
}
